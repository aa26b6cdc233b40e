"""Make the buckets of an S3-compatible store that are not there yet.

python buckets.py ADDRESS NAME...      keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
"""

import sys

import boto3


def make_buckets(address: str, names: list[str]) -> list[str]:
    """The names of those that were made."""
    store = boto3.client("s3", endpoint_url=address)
    there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    made = [name for name in names if name not in there]
    for name in made:
        store.create_bucket(Bucket=name)
    return made


if __name__ == "__main__":
    print("made:", ", ".join(make_buckets(sys.argv[1], sys.argv[2:])) or "nothing, all are there")
