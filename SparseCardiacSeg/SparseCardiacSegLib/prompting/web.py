"""Asking a server for a file: which addresses may be asked, and what its refusals mean to a user."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import InputError

RETRIED = (429, 500, 502, 503, 504)
"""Answers that may be another one a few seconds later."""

_LOCAL = ("localhost", "127.0.0.1", "::1")


def open_url(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    """The server's answer, after redirects; the system's proxy settings are respected.

    Raises:
        InputError: the address, or one that it redirects to, may not be asked.
        urllib.error.URLError, http.client.HTTPException, OSError: as urllib does.
    """
    check_url(url)
    request = urllib.request.Request(url, headers=dict(headers))
    return urllib.request.build_opener(_Redirects).open(request, timeout=timeout)


def check_url(url: str, local: bool = True) -> str:
    """The host of `url`, if it may be fetched from."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (local and parts.scheme == "http" and host in _LOCAL):
        raise InputError(f"{url:.200} is not fetched: only https addresses are")
    return host


def version_tag(headers: Any) -> str:
    """What tells this version of the file from others: a strong ETag, else the date of its last change."""
    tag = headers.get("ETag") or ""
    return tag if tag.startswith('"') else (headers.get("Last-Modified") or "")


def refusal(error: urllib.error.HTTPError, url: str, host: str) -> str:
    """A sentence for an answer that asking again would not change."""
    if error.code in (404, 410):
        return f"{host} no longer has {url} (it answers {error.code}); look for the file elsewhere and import it"
    if error.code in (401, 403, 407, 451):
        return f"{host} or a proxy refuses to send {url} (it answers {error.code}); fetch it elsewhere and import it"
    return f"{host} answers {error.code} {error.reason} for {url}"


def describe_failure(reason: Any, timeout: float) -> str:
    """Why no answer came, in words."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified: {reason.verify_message}; a proxy may be in between"
    if isinstance(reason, TimeoutError):
        return f"no answer for {timeout:.0f} s"
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as urllib does, but only to addresses that may be fetched from."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_url(newurl, local=urlsplit(req.full_url).hostname in _LOCAL)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
