"""Asks the double of Webex's API with the library wxc_sdk, and prints what it has read as JSON.

The library's own code does the paging, the reading of records and the renewal of tokens. Only its hosts are turned to
the double, which speaks no TLS.
"""

import json
import sys

from requests.adapters import HTTPAdapter
from wxc_sdk import WebexSimpleApi
from wxc_sdk.integration import Integration
from wxc_sdk.rest import RestError, RestSession
from wxc_sdk.tokens import Tokens
from wxc_sdk.webhook import WebhookEventType, WebhookResource

asked = json.load(sys.stdin)
base = asked["base"]


class WithoutTls(HTTPAdapter):
    def send(self, request, **options):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def records(stream, window):
    host = base.removeprefix("http://")
    return [
        {"id": record.report_id, "at": record.report_time.isoformat(), "duration": record.duration, "org": record.org_uuid}
        for record in api.cdr.get_cdr_history(window["from"], window["to"], host=host, stream=stream)
    ]


def refusal(window):
    try:
        records(False, window)
    except RestError as error:
        detail = error.detail
        return {"status": error.response.status_code, "message": detail.message, "trackingId": detail.tracking_id}
    return None


RestSession.BASE = f"{base}/v1"
client = Integration(
    client_id=asked["client_id"],
    client_secret=asked["client_secret"],
    scopes="spark-admin:calling_cdr_read",
    redirect_url="http://127.0.0.1/",
    token_service=f"{base}/v1/access_token",
)
tokens = Tokens(access_token="", refresh_token=asked["refresh_token"])
client.refresh(tokens)
api = WebexSimpleApi(tokens=tokens)
api.session.mount(base.replace("http://", "https://"), WithoutTls())

webhooks = api.webhook
made = [
    webhooks.create(
        name=f"Calls {number}",
        target_url="https://hooks.example.com/webhooks/w",
        resource=WebhookResource.telephony_calls,
        event=WebhookEventType.all,
        secret="hush",
        owned_by="org",
    )
    for number in range(asked["webhooks"])
]
listed = list(webhooks.list(owned_by="org", max=2))
first, last = made[0], made[-1]
# The library's `update` sends a form and says that it is JSON.
api.session.rest_put(api.session.ep(f"webhooks/{first.webhook_id}"), json={"name": "Changed", "targetUrl": "https://b.example.com/"})
changed = webhooks.details(first.webhook_id)
webhooks.webhook_delete(last.webhook_id)

json.dump(
    {
        "refresh_token": tokens.refresh_token,
        "feed": records(False, asked["feed"]),
        "stream": records(True, asked["stream"]),
        "nothing": refusal(asked["nothing"]),
        "young": refusal(asked["young"]),
        "listed": [webhook.name for webhook in listed],
        "changed": [changed.name, changed.target_url, changed.status],
        "left": [webhook.name for webhook in webhooks.list()],
    },
    sys.stdout,
)
