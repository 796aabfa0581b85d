"""A store that speaks as S3 does, and what others read there.

Reads commands as JSON lines: {"start": bucket} makes a bucket and tells the address, {"list": bucket} tells what lies there.
"""

import hashlib
import json
import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
client = boto3.client(
    "s3",
    endpoint_url=url,
    region_name="us-east-1",
    aws_access_key_id="a-key",
    aws_secret_access_key="a-secret",
)


def listed(bucket):
    for entry in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        got = client.get_object(Bucket=bucket, Key=entry["Key"])
        body = got["Body"].read()
        yield {
            "key": entry["Key"],
            "bytes": len(body),
            "content_type": got["ContentType"],
            "sha256": hashlib.sha256(body).hexdigest(),
        }


for line in sys.stdin:
    command = json.loads(line)
    if "start" in command:
        client.create_bucket(Bucket=command["start"])
        print(json.dumps({"url": url}), flush=True)
    else:
        print(json.dumps({"objects": list(listed(command["list"]))}), flush=True)

server.stop()
