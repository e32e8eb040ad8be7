"""A script that was written for the seed system's API works unchanged (research/seed-system.md, section 2)."""
import re
import time

import pytest

from api import Api
from house import Everseal
from network import Upstream, thumbprint


@pytest.fixture(params=["socket", "page"])
def house(stage, pebble, request):
    """Asked by the machine's owner, and as scripts do: over the page's port with the header of the seed system."""
    upstream = stage.keep(Upstream())
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble, email=None, agree=False,
                                   sites=f"site * {{ proxy 127.0.0.1:{upstream.port} }}"))
    everseal.start()
    everseal.api = Api(everseal.state)
    if request.param == "page":
        made = everseal.api.post("/api/tokens", {"name": "script", "scope": "operate"}).ok(201)
        everseal.api = Api(None, everseal.page, made["token"])
    return everseal


def task(house, name="shop.example.com", **arguments):
    return {"Name": "ConfigureLetsEncrypt", "Description": "Configure Let's Encrypt SSL Certificate",
            "State": "Queued",
            "Arguments": {"DnsName": name, "RegistrationEmailAddress": "ops@example.com",
                          "AcceptLetsEncryptTermsOfService": True, "HttpsPort": house.https,
                          "IPAddress": "127.0.0.1", "Path": "/", **arguments}}


def wait(house, task_id, seconds=30):
    """As such scripts do: once a second, until the task is completed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        details = house.api.get(f"/api/tasks/{task_id}/details").ok()
        if details["Task"]["IsCompleted"]:
            return details
        time.sleep(0.2)
    raise AssertionError(f"task {task_id} is not completed: {details}")


def configure(house):
    created = house.api.post("/api/tasks", task(house)).ok(201)
    details = wait(house, created["Id"])
    assert details["Task"]["State"] == "Success", details
    return details


def test_the_whole_script(house):
    root = house.api.get("/api").ok()
    where = root["Links"]["LetsEncryptConfiguration"]
    before = house.api.get(where).ok()
    assert before["Enabled"] is False and before["CertificateThumbprint"] is None

    created = house.api.post("/api/tasks", task(house)).ok(201)
    assert created["Name"] == "ConfigureLetsEncrypt"
    assert created["Description"] == "Configure Let's Encrypt SSL Certificate"
    assert created["State"] in ("Queued", "Executing", "Success")
    assert created["Links"]["Self"] == f"/api/tasks/{created['Id']}"
    details = wait(house, created["Id"])
    assert details["Task"]["State"] == "Success" and details["Task"]["FinishedSuccessfully"] is True
    assert details["Task"]["ErrorMessage"] is None
    log = details["ActivityLogs"][0]
    assert log["Status"] == "Success" and log["LogElements"][0]["MessageText"]

    now = house.api.get(where).ok()
    assert now["Enabled"] is True
    assert (now["DnsName"], now["RegistrationEmailAddress"]) == ("shop.example.com", "ops@example.com")
    assert (now["HttpsPort"], now["IPAddress"], now["Path"]) == (house.https, "127.0.0.1", "/")
    assert now["AcceptLetsEncryptTermsOfService"] is True
    assert re.fullmatch("[0-9A-F]{40}", now["CertificateThumbprint"])
    assert now["CertificateThumbprint"] == thumbprint(house.served("shop.example.com")).upper()
    assert re.match(r"\d{4}-\d\d-\d\dT", now["CertificateExpiryDate"])


def test_disable_and_no_way_back_but_configuring(house):
    configure(house)
    where = "/api/letsencryptconfiguration"
    assert house.api.put(where, {"Enabled": True}).ok()["Enabled"] is True, "the same state is no change"
    assert house.api.put(where, {"Enabled": False}).ok()["Enabled"] is False
    assert house.api.put(where, {"Enabled": False}).ok()["Enabled"] is False
    house.api.put(where, {"Enabled": True}).failed(409, "configure it again")
    assert house.certificate("shop.example.com")["state"] == "disabled"
    assert house.served("shop.example.com"), "it is served until it expires"
    house.restart()
    assert house.api.get(where).ok()["Enabled"] is False
    configure(house)
    assert house.api.get(where).ok()["Enabled"] is True


def test_it_is_not_configured_yet(house):
    where = "/api/letsencryptconfiguration"
    house.api.put(where, {"Enabled": True}).failed(409, "not configured yet")
    assert house.api.put(where, {"Enabled": False}).ok()["Enabled"] is False
    house.api.put(where, {}).failed(422, "Enabled", field="Enabled")


@pytest.mark.parametrize("change, field, words", [
    ({"DnsName": "https://shop.example.com"}, "DnsName", "This is a web address; a DNS name is needed."),
    ({"AcceptLetsEncryptTermsOfService": False}, "AcceptLetsEncryptTermsOfService", "Accept the CA's terms of service"),
    ({"RegistrationEmailAddress": "nobody"}, "RegistrationEmailAddress", "is not an e-mail address"),
    ({"Path": "/octopus"}, "Path", 'Path can only be "/"'),
    ({"HttpsPort": 70000}, "HttpsPort", "A port is a number from 1 to 65535."),
    ({"IPAddress": "here"}, "IPAddress", "here is not an IP address"),
    ({"IPAddress": "203.0.113.9"}, "IPAddress", "This machine does not have the address 203.0.113.9. Choose one that it has"),
])
def test_arguments_that_cannot_be(house, change, field, words):
    house.api.post("/api/tasks", task(house, **change)).failed(422, words, field=field)
    assert house.api.get("/api/tasks").ok()["TotalResults"] == 0


def test_other_tasks_are_refused(house):
    house.api.post("/api/tasks", {"Name": "Upgrade"}).failed(422, "ConfigureLetsEncrypt", field="Name")
    house.api.post("/api/tasks", {"Name": "ConfigureLetsEncrypt"}).failed(422, "Arguments", field="Arguments")
    house.api.post("/api/tasks", b"{").failed(400)
    house.api.get("/api/tasks/Tasks-1").failed(404, "There is no task Tasks-1.")


def test_a_task_that_fails_says_why(house, pebble):
    pebble.gate.close() if hasattr(pebble, "gate") else None
    created = house.api.post("/api/tasks", task(house, IPAddress="127.0.0.77", HttpsPort=9)).ok(201)
    details = house.api.get(f"/api/tasks/{created['Id']}/details").ok()
    assert set(details) >= {"Task", "ActivityLogs", "Steps", "Error", "Links"}


def test_the_list_of_tasks(house):
    configure(house)
    house.le("renew", "shop.example.com", "--wait").ok()
    tasks = house.api.get("/api/tasks").ok()
    assert tasks["ItemType"] == "Task" and tasks["TotalResults"] == 2
    assert [t["Name"] for t in tasks["Items"]] == ["RenewLetsEncrypt", "ConfigureLetsEncrypt"], "the newest first"
    one = house.api.get("/api/tasks", skip=1, take=1).ok()
    assert [t["Name"] for t in one["Items"]] == ["ConfigureLetsEncrypt"]
    assert (one["TotalResults"], one["ItemsPerPage"], one["NumberOfPages"], one["LastPageNumber"]) == (2, 1, 2, 1)
    about = tasks["Items"][0]["About"]
    assert house.api.get("/api/tasks", about=about).ok()["TotalResults"] == 2
    assert house.api.get("/api/tasks", state="Failed").ok()["Items"] == []


def test_ping(house):
    body = house.api.get("/api/octopusservernodes/ping").ok()
    assert body["IsInMaintenanceMode"] is False and body["Name"]
