"""What schemathesis has to know of PicASpot that the contract can't say."""

import os

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

BASE = os.environ["FUZZ_URL"]
IDENTIFIER = os.environ["FUZZ_IDENTIFIER"]
PASSWORD = os.environ["FUZZ_PASSWORD"]
ROLE = IDENTIFIER.partition("@")[0]


class Account:
    """The account of the run. It stays usable whatever the run does to it."""

    token = None
    policy = None

    def login(self, password=PASSWORD):
        answer = requests.post(
            f"{BASE}/api/v1/auth/login", json={"identifier": IDENTIFIER, "password": password}, timeout=20
        )
        answer.raise_for_status()
        self.token = answer.json()["access_token"]

    @property
    def authorization(self):
        if self.token is None:
            self.login()
        return f"Bearer {self.token}"

    def restore_password(self, current):
        self.login(current)
        answer = requests.put(
            f"{BASE}/api/v1/me/password",
            headers={"Authorization": self.authorization},
            json={"current_password": current, "password": PASSWORD},
            timeout=20,
        )
        answer.raise_for_status()
        self.token = None

    def restore_policy(self):
        """Gives the roles of the first policy what they had; others keep what they have."""
        headers = {"Authorization": self.authorization, "Content-Type": "text/csv"}
        answer = requests.get(f"{BASE}/api/v1/admin/policy", headers=headers, timeout=20)
        answer.raise_for_status()
        others = [line for line in rules(answer.text) if line not in self.policy and not line.startswith(BUILT_IN)]
        text = "\n".join(self.policy + others)
        if rules(answer.text) != rules(text):
            headers["If-Match"] = answer.headers["ETag"]
            requests.put(f"{BASE}/api/v1/admin/policy", headers=headers, data=text, timeout=20).raise_for_status()


BUILT_IN = tuple(f"{kind},{role}," for kind in "pg" for role in ("user", "moderator", "admin"))


def rules(text):
    return sorted(line.replace(" ", "") for line in text.splitlines() if line and not line.startswith("#"))


account = Account()
if ROLE == "admin":
    first = requests.get(f"{BASE}/api/v1/admin/policy", headers={"Authorization": account.authorization}, timeout=20)
    first.raise_for_status()
    account.policy = [line for line in rules(first.text) if line.startswith(BUILT_IN)]


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, context):
        return account.authorization

    def set(self, case, authorization, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = authorization


# Formats that are the contract's own.
schemathesis.openapi.format("idempotency-key", st.from_regex(r'[!#-~][!-~]{0,254}|"[!#-\[\]-~]{1,253}"', fullmatch=True))

# Operations that end the session of the run, for which it logs in anew.
ENDS_SESSIONS = {"logout", "logoutAll", "endSession", "deleteMe"}

# Operations after which the account might be allowed less.
CHANGES_POLICY = {"updateRole", "deleteRole", "replaceRolePermissions", "replacePolicy", "restorePolicyVersion"}


@schemathesis.hook
def before_call(context, case, kwargs):
    # Without a second factor the run would be over, and it could not take that back.
    if operation_of(case) == "updateRole" and case.path_parameters["role"] == ROLE and isinstance(case.body, dict):
        case.body.pop("requires_mfa", None)


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


@schemathesis.hook
def after_call(context, case, response):
    sent = response.request.headers.get("Authorization")
    public = case.operation.definition.raw["x-permission"] == "public"
    ours = not public and account.token is not None and sent == account.authorization
    operation = operation_of(case)
    if ours and operation == "changePassword" and response.status_code == 204:
        account.restore_password(case.body["password"])
    elif ours and (response.status_code == 401 or operation in ENDS_SESSIONS and response.status_code == 204):
        # An account that was deleted is back once it logs in.
        account.token = None
    elif ours and operation in CHANGES_POLICY and response.status_code < 300:
        account.restore_policy()


# Faults of a request that fits its schema: the contract says them in words, as no
# schema can. By the problem's type or a fault's code, with the parameter or the
# pointer that it is about where it is about one only.
BEYOND_SCHEMAS = {
    "encoding": "texts have no NUL character",
    "page_and_cursor": "a list takes a page or a cursor",
    "too_deep page": "how far pages reach depends on their size",
    "invalid_cursor": "a cursor is one that a list gave",
    "needs_search": "relevance is that of a search",
    # Here and there values come from elsewhere than from the format above.
    "format Idempotency-Key": "a key has a format of its own",
    "format bbox": "south is at most north; the answer tells which number is wrong",
    "range x": "how many columns there are depends on the zoom",
    "range y": "and how many rows",
    "required /refresh_token": "the token comes in the body or in the cookie",
    "combination": "what a question about the policy is made of",
    "/problems/invalid_policy": "the policy has a grammar and rules of its own",
}


def beyond_schemas(problem):
    if problem["type"] in BEYOND_SCHEMAS:
        return True
    faults = problem.get("errors", [])
    return bool(faults) and all(
        fault["code"] in BEYOND_SCHEMAS
        or f"{fault['code']} {fault.get('parameter', fault.get('pointer'))}" in BEYOND_SCHEMAS
        for fault in faults
    )


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if isinstance(failure, RejectedPositiveData) and response.status_code == 400:
        return not beyond_schemas(response.json())
    # A form that its sender took for wrong, and which is not once it is written down.
    return not (isinstance(failure, AcceptedNegativeData) and "Invalid component: positive test case" in failure.message)
