"""Calls Vonage's own library for tests/it/vendor.rs: a JSON list of calls comes in, a JSON list of results goes out."""

import json
import sys

from vonage_http_client.auth import Auth
from vonage_jwt import verify_signature


def auth(call):
    return Auth(
        api_key="abcd1234",
        signature_secret=call["secret"],
        signature_method=call["method"],
    )


FUNCTIONS = {
    "sign_params": lambda call: auth(call).sign_params(call["params"]),
    "check_signature": lambda call: auth(call).check_signature(call["params"]),
    "verify_signature": lambda call: verify_signature(call["token"], call["secret"]),
}

calls = json.load(sys.stdin)
json.dump([FUNCTIONS[call["function"]](call) for call in calls], sys.stdout)
