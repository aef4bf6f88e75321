"""The server below a path of a proxy: every address that it gives is below that path."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from urllib.parse import urljoin

import pytest
import requests
from web_server import send, serving, wait_until

from earmark.errors import BadValue
from earmark.web.access import Access
from earmark.web.server import checked_root_path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or ""
CONFIG = """
daemon off; master_process off; error_log stderr warn; pid {folder}/pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 400m;
    location /earmark/ {{
      proxy_pass {target};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_request_buffering off;
      proxy_buffering off;
    }}
  }}
}}
"""


def test_a_path_is_cut_off_whether_the_proxy_did_or_not(model, song):
    with serving(model, root_path="/earmark", access=Access("sesame")) as server:
        for prefix in ("", "/earmark"):
            assert requests.get(f"{server.url}{prefix}/", timeout=60).ok
            assert requests.get(f"{server.url}{prefix}/static/page.css", timeout=60).ok
            models = f"{server.url}{prefix}/api/models"
            assert requests.get(models, timeout=60).status_code == 401
            headers = {"Authorization": "Bearer sesame"}
            assert requests.get(models, headers=headers, timeout=60).ok
        for path in ("/earmark/earmark/api/models", "/earmarks/", "/earmark//api/models"):
            assert requests.get(server.url + path, timeout=60).status_code in (401, 404)
        moved = requests.get(server.url + "/earmark", timeout=60, allow_redirects=False)
        assert (moved.status_code, moved.headers["Location"]) == (307, "/earmark/")
        described = requests.get(server.url + "/api/openapi.json", timeout=60).json()
        assert described["servers"] == [{"url": "/earmark"}]


# of what is shown: the library's link is hidden where none is served
LINKS = re.compile(r'<(?![^>]*\bhidden\b)[^>]*(?:href|src)="([^"#]+)"')


def test_no_page_names_an_address_from_the_root(model):
    with serving(model, root_path="/earmark") as server:
        for page in ("/earmark/", "/earmark/docs"):
            html = requests.get(server.url + page, timeout=60).text
            links = LINKS.findall(html)
            assert len(links) > 4
            for link in links:
                address = urljoin(server.url + page, link)
                assert address.startswith(server.url + "/earmark/")
                assert requests.get(address, timeout=60).ok, address


@pytest.mark.parametrize(
    ("given", "path"), [("", ""), ("/", ""), ("/earmark", "/earmark"), ("/a/b-1/", "/a/b-1")]
)
def test_a_root_path_has_no_slash_at_its_end(given, path):
    assert checked_root_path(given) == path


@pytest.mark.parametrize("given", ["earmark", "//x", "/a b", "/a?b", "http://x/a", '/"'])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(BadValue, match="such as /earmark"):
        checked_root_path(given)


@pytest.mark.skipif(not NGINX, reason="no nginx here: apt install nginx-light")
@pytest.mark.parametrize("target", ["{url}", "{url}/"])  # with the path, and without
def test_nginx_shows_it_below_a_path(model, song, tmp_path, target):
    with serving(model, root_path="/earmark") as server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        config = tmp_path / "nginx.conf"
        config.write_text(
            CONFIG.format(folder=tmp_path, port=port, target=target.format(url=server.url))
        )
        proxy = subprocess.Popen(
            [NGINX, "-c", config, "-p", tmp_path, "-e", "stderr"], stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _accepts(port))
            url = f"http://127.0.0.1:{port}/earmark"
            page = requests.get(url, timeout=60)  # the proxy adds the slash
            assert "What does this song" in page.text
            for link in LINKS.findall(page.text):
                assert requests.get(urljoin(url + "/", link), timeout=60).ok, link
            answer = requests.post(
                url + "/api/tag", files={"file": ("song.mp3", song)}, timeout=60,
                headers={"Origin": f"http://127.0.0.1:{port}"},
            )  # fmt: skip
            assert answer.json()["tags"] == send(server, song).json()["tags"]
        finally:
            proxy.terminate()
            proxy.wait()


def _accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60):
            return True
    except OSError:
        return False
