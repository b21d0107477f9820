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
    f'xmlns="{MAIN}" xmlns:r="{OFFICE}" xmlns:xdr="{DRAWING}spreadsheetDrawing" xmlns:a="{DRAWING}main"'
    ' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
)
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
PATHS = ("picture", "embedded", "file", "background", "vml", "book", "indirect", "ole", "query", "text", "service")
SPREADSHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml."


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
    shape = (
        '<a:xfrm><a:off x="0" y="0"/><a:ext cx="900000" cy="900000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom>'
    )
    return (
        f'<xdr:pic><xdr:nvPicPr><xdr:cNvPr id="{identity}" name="p{identity}"/><xdr:cNvPicPr/></xdr:nvPicPr>'
        f"<xdr:blipFill><a:blip {blip}/><a:stretch><a:fillRect/></a:stretch></xdr:blipFill>"
        f"<xdr:spPr>{shape}</xdr:spPr></xdr:pic>"
    )


def filled(identity: int, blip: str) -> str:
    return (
        f'<xdr:sp macro="" textlink=""><xdr:nvSpPr><xdr:cNvPr id="{identity}" name="s{identity}"/><xdr:cNvSpPr/></xdr:nvSpPr>'
        '<xdr:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="900000" cy="900000"/></a:xfrm>'
        f'<a:prstGeom prst="rect"><a:avLst/></a:prstGeom><a:blipFill><a:blip {blip}/><a:stretch><a:fillRect/></a:stretch>'
        "</a:blipFill></xdr:spPr></xdr:sp>"
    )


def parts(address: str, file: str) -> dict[str, str]:
    """Part -> its XML. `address`: of the listener; `file`: of a picture on this computer."""
    formulas = (
        f'_xlfn.WEBSERVICE("{address}/service")',
        "[1]Sheet1!$A$1",
        f"INDIRECT(\"'{address}/indirect.ods'#$Sheet1.A1\")",
        f"INDIRECT(\"'[{address}/indirect.xlsx]Sheet1'!A1\")",
        "[2]!'!A1'",
        f'HYPERLINK("{address}/hyperlink")',
        "[1]!Outside",
        f'SUM([1]Sheet1!$A$1:$B$9)+IF(TRUE,0,_xlfn.WEBSERVICE("{address}/service2"))',
    )
    cells = "".join(f'<row r="{i}"><c r="A{i}"><f>{f}</f><v>1</v></c></row>' for i, f in enumerate(formulas, 1))
    types = (
        f'{DECLARATION}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/>'
        '<Default Extension="png" ContentType="image/png"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{SPREADSHEETML}sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{SPREADSHEETML}worksheet+xml"/>'
        f'<Override PartName="/xl/connections.xml" ContentType="{SPREADSHEETML}connections+xml"/>'
        f'<Override PartName="/xl/queryTables/queryTable1.xml" ContentType="{SPREADSHEETML}queryTable+xml"/>'
        + "".join(
            f'<Override PartName="/xl/externalLinks/externalLink{i}.xml" ContentType="{SPREADSHEETML}externalLink+xml"/>'
            for i in (1, 2, 3)
        )
        + '<Override PartName="/xl/drawings/drawing1.xml" ContentType="application/vnd.openxmlformats-officedocument.drawing+xml"/></Types>'
    )
    return {
        "[Content_Types].xml": types,
        "_rels/.rels": relations(("rId1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'{DECLARATION}<workbook {NAMESPACES}><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets>'
        '<externalReferences><externalReference r:id="rId2"/><externalReference r:id="rId3"/><externalReference r:id="rId4"/></externalReferences>'
        "<definedNames><definedName name=\"web\">Sheet1!$H$1:$I$5</definedName></definedNames></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            ("rId1", "worksheet", "worksheets/sheet1.xml"),
            ("rId2", "externalLink", "externalLinks/externalLink1.xml"),
            ("rId3", "externalLink", "externalLinks/externalLink2.xml"),
            ("rId4", "externalLink", "externalLinks/externalLink3.xml"),
            ("rId5", "connections", "connections.xml"),
        ),
        "xl/worksheets/sheet1.xml": f"{DECLARATION}<worksheet {NAMESPACES}><sheetData>{cells}</sheetData>"
        '<drawing r:id="rId1"/><legacyDrawing r:id="rId2"/><picture r:id="rId3"/>'
        '<oleObjects><oleObject progId="Excel.Sheet.12" dvAspect="DVASPECT_CONTENT" link="[3]!\'\'" oleUpdate="OLEUPDATE_ALWAYS" shapeId="1025"/></oleObjects>'
        "</worksheet>",
        "xl/worksheets/_rels/sheet1.xml.rels": relations(
            ("rId1", "drawing", "../drawings/drawing1.xml"),
            ("rId2", "vmlDrawing", "../drawings/vmlDrawing1.vml"),
            ("rId3", "image", f"{address}/background.png"),
            ("rId4", "queryTable", "../queryTables/queryTable1.xml"),
        ),
        "xl/drawings/drawing1.xml": f"{DECLARATION}<xdr:wsDr {NAMESPACES}>"
        + anchor(1, picture(1, 'r:link="rId1"'))
        + anchor(4, picture(2, 'r:link="rId2"'))
        + anchor(8, picture(3, 'r:embed="rId3"'))
        + anchor(12, filled(4, 'r:link="rId4"'))
        + anchor(16, filled(5, 'r:embed="rId3"'))
        + "</xdr:wsDr>",
        "xl/drawings/_rels/drawing1.xml.rels": relations(
            ("rId1", "image", f"{address}/picture.png"),
            ("rId2", "image", file),
            ("rId3", "image", f"{address}/embedded.png"),
            ("rId4", "image", f"{address}/fill.png"),
        ),
        "xl/drawings/vmlDrawing1.vml": f'<xml {NAMESPACES}><v:shape id="_x0000_s1025" style="position:absolute;width:90pt;height:90pt" '
        f'type="#_x0000_t75"><v:imagedata o:relid="rId1" r:href="rId1" src="{address}/vmlsrc.png"/></v:shape></xml>',
        "xl/drawings/_rels/vmlDrawing1.vml.rels": relations(("rId1", "image", f"{address}/vml.png")),
        "xl/externalLinks/externalLink1.xml": f'{DECLARATION}<externalLink {NAMESPACES}><externalBook r:id="rId1"><sheetNames><sheetName val="Sheet1"/></sheetNames>'
        '<definedNames><definedName name="Outside" refersTo="=Sheet1!$A$1"/></definedNames></externalBook></externalLink>',
        "xl/externalLinks/_rels/externalLink1.xml.rels": relations(("rId1", "externalLinkPath", f"{address}/book.xlsx")),
        "xl/externalLinks/externalLink2.xml": f'{DECLARATION}<externalLink {NAMESPACES}><ddeLink ddeService="soffice" ddeTopic="{address}/dde.ods">'
        '<ddeItems><ddeItem name="A1" advise="1"/></ddeItems></ddeLink></externalLink>',
        "xl/externalLinks/externalLink3.xml": f'{DECLARATION}<externalLink {NAMESPACES}><oleLink r:id="rId1" progId="Excel.Sheet.12">'
        '<oleItems><oleItem name="\'" advise="1" preferPic="1"/></oleItems></oleLink></externalLink>',
        "xl/externalLinks/_rels/externalLink3.xml.rels": relations(("rId1", "oleObject", f"{address}/ole.xlsx")),
        "xl/connections.xml": f'{DECLARATION}<connections {NAMESPACES}><connection id="1" name="web" type="4" refreshedVersion="6" refreshOnLoad="1" background="1" saveData="1">'
        f'<webPr sourceData="1" parsePre="1" consecutive="1" xl2000="1" url="{address}/query.html"/></connection></connections>',
        "xl/queryTables/queryTable1.xml": f'{DECLARATION}<queryTable {NAMESPACES} name="web" connectionId="1" refreshOnLoad="1" autoFormatId="16"/>',
    }


def write(path: Path, contents: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    return path
