"""Fills a server with what requests can be about, some of each, since runs delete too."""

import time

import requests

PLACE = {"latitude": 53.8671, "longitude": 8.7206}
COPIES = 4
DECISION_SECONDS = 60


class Caller:
    def __init__(self, url, role, password):
        self.url = url
        self.session = requests.Session()
        answer = self.send("POST", "/auth/login", json={"identifier": f"{role}@picaspot.example", "password": password})
        self.session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def send(self, method, path, **options):
        answer = self.session.request(method, f"{self.url}/api/v1{path}", timeout=20, **options)
        answer.raise_for_status()
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else None


def fill(url, role, password, folder):
    """Makes the world as the role would, and a dictionary of ids for each parameter."""
    admin, owner = Caller(url, "admin", password), Caller(url, role, password)
    photo = requests.get(f"{url}/dev/photo", params=PLACE, timeout=20).content
    ids = {name: [] for name in ("area_id", "landmark_id", "attempt_id", "unlock_id", "report_id", "webhook_id", "role", "delivery_id")}
    ids["user_id"] = [user["id"] for user in admin.send("GET", "/admin/users?size=10")["items"]]
    image = {"data": photo, "headers": {"Content-Type": "image/jpeg"}}
    owner.send("PUT", "/me/avatar", **image)
    for i in range(COPIES):
        area = owner.send("POST", "/areas", json={"name": f"Quarter {i}"})
        landmark = owner.send(
            "POST", "/landmarks", json={"area_id": area["id"], "name": f"Pier {i}", "allow_duplicate": True} | PLACE
        )
        owner.send("PUT", f"/areas/{area['id']}/image", **image)
        owner.send("PUT", f"/landmarks/{landmark['id']}/image", **image)
        attempt = owner.send(
            "POST", f"/landmarks/{landmark['id']}/attempts", data=PLACE, files={"photo": ("photo.jpg", photo, "image/jpeg")}
        )
        report = owner.send(
            "POST", "/reports", json={"subject_type": "landmark", "subject_id": landmark["id"], "reason": "wrong_place"}
        )
        webhook = admin.send("POST", "/admin/webhooks", json={"url": f"https://{i}.invalid/", "events": ["landmark.created"]})
        delivery = admin.send("POST", f"/admin/webhooks/{webhook['id']}/test")
        made = admin.send("POST", "/admin/roles", json={"name": f"curator-{i}", "inherits": ["user"]})
        for name, value in {
            "area_id": area["id"], "landmark_id": landmark["id"], "attempt_id": attempt["id"], "report_id": report["id"],
            "webhook_id": webhook["id"], "delivery_id": delivery["id"], "role": made["name"],
        }.items():
            ids[name].append(value)
        # What lies in the trash.
        deleted = owner.send("POST", "/areas", json={"name": f"Old quarter {i}"})
        admin.send("DELETE", f"/areas/{deleted['id']}")
        ids["area_id"].append(deleted["id"])
    ids["unlock_id"] = unlocks(owner, ids["attempt_id"])
    for name, values in ids.items():
        (folder / f"{name}.dict").write_text("".join(f'"{value}"\n' for value in values))


def unlocks(owner, attempts):
    """Waits until the attempts are decided, and returns the unlocks that came of them."""
    found = []
    end = time.monotonic() + DECISION_SECONDS
    for attempt in attempts:
        while (state := owner.send("GET", f"/attempts/{attempt}"))["status"] == "pending" and time.monotonic() < end:
            time.sleep(0.2)
        if state["unlock_id"]:
            found.append(state["unlock_id"])
    if not found:
        raise SystemExit("fuzz: no attempt unlocked its landmark")
    return found
