from tests.support.cli import meltemi, succeed
from tests.support.glance import Place
from tests.support.proxy import Proxy, Fault, FILE
from lab import images

def test_smoke(source: Place, target: Place) -> None:
    data = images.random_bytes(5_000_000)
    a = source.put("a", data)
    with Proxy(source.url) as p, Proxy(target.url) as q:
        p.fault(Fault("GET", FILE, times=2, cut_answer=1_000_000))
        done = succeed("livecopy", p, q, "-f", "json", "--debug")
        print(done.err)
        print(p.requests, q.requests)
    assert target.data(a) == data
