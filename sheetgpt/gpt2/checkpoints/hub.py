"""Files of a model on the Hugging Face hub, fetched into `huggingface_hub`'s cache: one file a call, small ones first.

A download that broke off resumes in the next run, and what arrived is checked against the hub's checksum;
`huggingface_hub` itself does neither. Its switches (HF_ENDPOINT, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_TOKEN) hold.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
)
from huggingface_hub.file_download import HfFileMetadata, http_get, repo_folder_name
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, but exported without saying so
    WeakFileLock,
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
)

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints import foreign

ALIASES = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
}
# Whatever HTTP library huggingface_hub uses (it has changed), its errors' base is this one's first base.
HTTP_ERROR = cast(type[Exception], HfHubHTTPError.__bases__[0])


@dataclass(frozen=True)
class HubModel:
    """A model at one commit. `offline`: the hub didn't answer, so only what the cache holds is to be had."""

    repo: str
    commit: str
    offline: str = ""


def is_hub_name(name: str) -> bool:
    """Whether `name` is one of the aliases or has the hub's form `owner/name`."""
    part = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    return name in ALIASES or (bool(re.fullmatch(f"{part}/{part}", name)) and ".." not in name and "--" not in name)


def open_model(name: str, ask: bool = True) -> HubModel:
    """The model's newest commit; without a network, or where nobody is to be asked, the newest in the cache."""
    repo = ALIASES.get(name, name)
    if not ask and _cached_commit(repo) is None and not _snapshots(repo):
        raise SheetGPTError(
            f"{repo} isn't in the cache {constants.HF_HUB_CACHE}, and the hub is asked only for a model that you name."
        )
    try:
        if not ask:
            return _cached(repo, "the hub is asked only for a model that you name")
        if constants.HF_HUB_OFFLINE:
            return _cached(repo, "HF_HUB_OFFLINE is set")
        meta = _metadata(repo, "main", "config.json")
    except SheetGPTError:
        raise
    except (OSError, HTTP_ERROR) as error:
        return _cached(repo, f"{constants.ENDPOINT} doesn't answer ({_brief(error)})")
    if meta is None:
        raise SheetGPTError(_no_config(repo))
    commit = meta.commit_hash or ""
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise SheetGPTError(f"{constants.ENDPOINT} (HF_ENDPOINT) doesn't answer as a Hugging Face hub does.")
    return HubModel(repo, commit)


def _no_config(repo: str) -> str:
    adapters = foreign.ADAPTERS[0]
    if has_file(HubModel(repo, "main"), adapters):
        return foreign.only_adapters(f"{adapters} of {repo}")
    return f"{repo} on {constants.ENDPOINT} has no config.json, so it isn't a model that sheetgpt can read."


def download(model: HubModel, filename: str, *, needed: bool = True) -> Path | None:
    """The file in the cache, downloaded where it isn't there yet; None when the model has no such file.

    Without a network and with an incomplete cache (another program's) nobody knows; only then `needed` matters.
    """
    cached = try_to_load_from_cache(model.repo, filename, cache_dir=constants.HF_HUB_CACHE, revision=model.commit)
    if isinstance(cached, str):
        return Path(cached)
    if cached is not None:  # a marker: the hub was asked before, and has none
        return None
    if model.offline and not needed:
        return None
    if model.offline:
        raise SheetGPTError(by_hand(model.repo, f"{filename} isn't in the cache and {model.offline}"))
    try:
        meta = _metadata(model.repo, model.commit, filename)
        # The checksum of a file in git or in large-file storage; any other tag says nothing about the content.
        if meta and meta.size and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", meta.etag or ""):
            _fetch_blob(model, filename, str(meta.etag), meta.size)
        # Finds the blob in place and links it into the snapshot, or notes that there is no such file.
        return Path(hf_hub_download(model.repo, filename, revision=model.commit, cache_dir=constants.HF_HUB_CACHE))
    except SheetGPTError:
        raise
    except (OSError, HTTP_ERROR) as error:
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None
        raise SheetGPTError(by_hand(model.repo, f"{filename} can't be downloaded: {_brief(error)}")) from None


def remember(model: HubModel) -> None:
    """Makes this commit the one that a run without a network takes; called when all its files are there."""
    if model.offline or _cached_commit(model.repo) == model.commit:
        return
    try:
        hf_hub_download(model.repo, "config.json", cache_dir=constants.HF_HUB_CACHE)
    except (OSError, HTTP_ERROR):
        return  # it only fails the run without a network, which says so


def has_file(model: HubModel, filename: str) -> bool:
    """Whether the model has the file, without fetching it; False too when the hub doesn't answer."""
    try:
        return not model.offline and _metadata(model.repo, model.commit, filename) is not None
    except (OSError, HTTP_ERROR):
        return False


def by_hand(repo: str, problem: str) -> str:
    """The sentence for a person without a network."""
    return (
        f"{problem}, so {repo} can't be loaded. On a computer with a network, download config.json, model.safetensors, "
        f"vocab.json and merges.txt from {constants.ENDPOINT}/{repo}/tree/main, put them into one folder here, "
        f"and give that folder as the model."
    )


@contextmanager
def progress(quiet: bool) -> Iterator[None]:
    """Downloads show huggingface_hub's progress bars, except when `quiet`."""
    if not quiet or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _metadata(repo: str, revision: str, filename: str) -> HfFileMetadata | None:
    """What the hub says about a file, asked once (hf_hub_download retries for 20 s before it gives up)."""
    url = hf_hub_url(repo, filename, revision=revision, endpoint=constants.ENDPOINT)
    try:
        return get_hf_file_metadata(url, endpoint=constants.ENDPOINT)
    except EntryNotFoundError:
        return None
    except GatedRepoError:
        raise SheetGPTError(
            f"{repo} is gated: accept its terms at {constants.ENDPOINT}/{repo} and set HF_TOKEN to your token."
        ) from None
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 404):
            raise _not_found(repo) from None
        raise


def _not_found(repo: str) -> SheetGPTError:
    return SheetGPTError(
        f"There is no model {repo} on {constants.ENDPOINT} (or it is private, and HF_TOKEN is not a token that may "
        f"read it), and no folder {repo} here: check the name."
    )


def _cached(repo: str, reason: str) -> HubModel:
    commit = _cached_commit(repo)
    whole = _snapshots(repo) if commit is None else []
    if whole:
        raise SheetGPTError(
            f"{repo} is in the cache, but its refs/main names no commit that is there: "
            f"give the folder {whole[0]} as the model."
        )
    if commit is None:
        raise SheetGPTError(by_hand(repo, f"{repo} isn't in the cache {constants.HF_HUB_CACHE} and {reason}"))
    return HubModel(repo, commit, offline=reason)


def cached_folder(name: str) -> Path | None:
    """Where the cache has a model's files."""
    repo = ALIASES.get(name, name)
    try:
        commit = (_folder(repo) / "refs" / "main").read_text("ascii").strip()  # a line end: it was written by hand
    except (OSError, ValueError):
        return None
    config = _folder(repo) / "snapshots" / commit / "config.json"
    return config.parent if re.fullmatch(r"\w[\w.-]*", commit) and config.is_file() else None


def _folder(repo: str) -> Path:
    return Path(constants.HF_HUB_CACHE).expanduser() / repo_folder_name(repo_id=repo, repo_type="model")


def _snapshots(repo: str) -> list[Path]:
    """Commits in the cache that have a config.json."""
    return sorted(path.parent for path in (_folder(repo) / "snapshots").glob("*/config.json"))


def _cached_commit(repo: str) -> str | None:
    folder = cached_folder(repo)
    return None if folder is None else folder.name


def _fetch_blob(model: HubModel, filename: str, etag: str, size: int) -> None:
    """The content into the cache's blobs, where hf_hub_download looks for it under its etag."""
    cache = Path(constants.HF_HUB_CACHE).expanduser()
    folder = repo_folder_name(repo_id=model.repo, repo_type="model")
    blob = cache / folder / "blobs" / etag
    lock = cache / ".locks" / folder / f"{etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):  # another run may be downloading the same file
        if blob.exists():
            return
        partial = blob.with_name(f"{etag}.incomplete")
        _download_rest(model, filename, partial, size)
        found = _checksum(partial, etag)
        if found != etag:
            partial.unlink()
            raise SheetGPTError(
                f"{filename} of {model.repo} arrived damaged: its checksum is {found}, and the hub says {etag}. "
                f"It has been deleted; run the same command again."
            )
        partial.replace(blob)


def _download_rest(model: HubModel, filename: str, partial: Path, size: int) -> None:
    """Appends to `partial` what it still lacks of `size` bytes."""
    url = hf_hub_url(model.repo, filename, revision=model.commit, endpoint=constants.ENDPOINT)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}  # a compressed answer couldn't be resumed
    if partial.exists() and partial.stat().st_size > size:
        partial.unlink()
    with partial.open("ab") as file:
        start = file.tell()
        try:
            http_get(url, file, resume_size=start, headers=headers, expected_size=size, displayed_filename=filename)
            return
        except HTTP_ERROR as error:
            broken: Exception = error
        except OSError as error:
            # http_get's own complaint about the size has no errno; a full disk has one.
            if error.errno is not None:
                raise SheetGPTError(f"{filename} can't be written to {partial}: {_brief(error)}.") from None
            broken = error
    done = partial.stat().st_size
    if isinstance(broken, HTTP_ERROR):
        raise SheetGPTError(
            f"The download of {filename} from {model.repo} broke off after {done:,} of {size:,} bytes "
            f"({_brief(broken)}): run the same command again to resume it there."
        )
    partial.unlink()
    raise SheetGPTError(
        f"{filename} of {model.repo} has {done:,} bytes, but the hub promised {size:,}. "
        f"It has been deleted; run the same command again."
    )


def _checksum(path: Path, etag: str) -> str:
    """SHA-256 of a file in large-file storage, git's SHA-1 of any other: the length of the etag tells."""
    digest = hashlib.sha256() if len(etag) == 64 else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _brief(error: Exception) -> str:
    """The error's first sentence without its full stop: it goes into a sentence of ours."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(". ")[0].rstrip(".")
