"""Nobody but its own processes uses our own cluster, and nothing of it leaves the machine."""

import asyncio
import ipaddress
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import dask
import psutil
import pytest
from distributed import Client, Security, rpc

from blockseg.core.errors import ConfigError
from blockseg.runtime.dask.cluster import local_cluster
from blockseg.runtime.dask.pages.dashboard import link_below
from blockseg.runtime.dask.security import Access
from blockseg.runtime.memory import Layout

pytestmark = pytest.mark.dask

LAYOUT = Layout(2, 1, 1, 2**30)


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(LAYOUT) as cluster:
        yield cluster


def sockets():
    """Every IP socket of this process and of all that it started."""
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        try:
            yield from process.net_connections("inet")
        except psutil.NoSuchProcess:
            continue


def ports():
    """Ports at which one of them listens."""
    return {s.laddr.port for s in sockets() if s.status == psutil.CONN_LISTEN}


def is_here(place):
    return not place or ipaddress.ip_address(place.ip).is_loopback


def test_every_socket_is_of_the_loopback_interface(cluster):
    cluster.client.run(int)  # all are connected
    seen = list(sockets())
    assert sum(s.status == psutil.CONN_LISTEN for s in seen) >= 1 + 2 * LAYOUT.workers
    assert [s for s in seen if not is_here(s.laddr) or not is_here(s.raddr)] == []


def identity(address, security=None, seconds=300):
    """Ask whoever listens what it is, as any client does, for some seconds at most."""

    async def ask():
        arguments = {} if security is None else security.get_connection_args("client")
        async with rpc(address, connection_args=arguments, timeout=seconds) as other:
            return await asyncio.wait_for(other.identity(), seconds)

    with dask.config.set({"distributed.comm.timeouts.connect": f"{seconds / 2}s"}):
        return asyncio.run(ask())


def test_who_belongs_to_it_is_answered(cluster):
    assert identity(cluster.address, cluster.client.security)["type"] == "Scheduler"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_whoever_lacks_the_key_is_answered_at_no_port(scheme):
    other = Access().security() if scheme == "tls" else None
    for port in ports():
        with pytest.raises((OSError, TimeoutError)):
            identity(f"{scheme}://127.0.0.1:{port}", other, seconds=1)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_client_without_the_key_is_refused(cluster, scheme):
    address = cluster.address.replace("tls://", f"{scheme}://")
    security = Access().security() if scheme == "tls" else Security()
    with pytest.raises((OSError, TimeoutError)):
        Client(address, security=security, timeout=1, set_as_default=False)
    assert cluster.workers == LAYOUT.workers


def status_of(address):
    try:
        with urllib.request.urlopen(address, timeout=300) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_dashboard_is_there_for_who_knows_its_address(cluster):
    code, page = status_of(cluster.dashboard)
    assert code == 200
    assert b"bk-" in page or b"Bokeh" in page


@pytest.mark.parametrize(
    "path",
    ["", "status", "sitemap.json", "health", "info/main/workers.html", "x/status"],
)
def test_all_else_that_is_asked_by_http_is_not_there(cluster, path):
    status_of(cluster.dashboard)  # its pages are loaded
    where = urlsplit(cluster.dashboard)
    token = where.path.split("/")[1]
    code, page = status_of(f"{where.scheme}://{where.netloc}/{path}")
    assert code == 404
    assert token.encode() not in page


def test_another_cluster_has_another_key_and_another_address():
    keys = {getattr(Access().security(), "tls_client_key") for _ in range(2)}  # noqa: B009 - untyped
    assert len(keys) == len({Access().token, Access().token}) == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_another_address_needs_certificates_or_a_word(host):
    with pytest.raises(ConfigError, match="--insecure"):
        Access(host)
    assert Access(host, insecure=True).protocol == "tcp://"


def test_an_address_that_is_none_is_said():
    with pytest.raises(ConfigError, match="no address"):
        Access("no such host of this machine")


def test_certificates_of_dask_are_taken_for_another_address(tmp_path):
    made = Access().security()
    paths = {}
    for name in ("tls_ca_file", "tls_scheduler_key"):
        paths[name] = str(tmp_path / name)
        (tmp_path / name).write_text(getattr(made, name))
    roles = {
        f"distributed.comm.tls.{role}.{what}": paths[name]
        for role in ("scheduler", "worker", "client")
        for what, name in (("cert", "tls_ca_file"), ("key", "tls_scheduler_key"))
    }
    configured = {"distributed.comm.tls.ca-file": paths["tls_ca_file"], **roles}
    with dask.config.set(configured):
        access = Access("0.0.0.0")
        with local_cluster(Layout(1, 1, 1, 2**30), access=access) as cluster:
            assert cluster.address.startswith("tls://")
            assert cluster.client.submit(sum, [1, 2]).result() == 3
            port = urlsplit(cluster.address).port
            with pytest.raises((OSError, TimeoutError)):
                identity(f"tcp://127.0.0.1:{port}", seconds=1)


def test_an_insecure_cluster_is_one_that_anybody_uses():
    with local_cluster(Layout(1, 1, 1, 2**30), access=Access(insecure=True)) as cluster:
        assert identity(cluster.address)["type"] == "Scheduler"


def test_a_link_of_the_user_s_own_is_left_as_it_is():
    assert link_below("/t/", "{host}:{port}/status") == "{host}:{port}/t/status"
    assert link_below("/t/", "/proxy/{port}/") == "/proxy/{port}/"


def test_names_of_the_loopback_interface_are_known():
    names = {"localhost"} & {socket.gethostname(), "localhost"}
    assert all(Access(name).local for name in ("127.0.0.1", "::1", *names))
