"""One operation of one client that is a Python library; `clients.py` runs it in that client's environment.

    python clients_in_python.py CLIENT OPERATION ARGUMENT...

Ends with 64 where the client has no such operation.
"""

import json
import os
import sys

BUCKET = "input"
URL = os.environ["AWS_ENDPOINT_URL"]
KEYS = {"access_key": "rowproof", "secret_key": "rowproof"}


def of_boto3():
    import boto3

    s3 = boto3.client("s3")

    def move(old, new):
        s3.copy({"Bucket": BUCKET, "Key": old}, BUCKET, new)
        s3.delete_object(Bucket=BUCKET, Key=old)

    def keys(prefix):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page["Contents"]]

    def url(method, key):
        return s3.generate_presigned_url(method, Params={"Bucket": BUCKET, "Key": key})

    return {
        "put": lambda file, key: s3.upload_file(file, BUCKET, key),
        "get": lambda key, file: s3.download_file(BUCKET, key, file),
        "list": lambda prefix: print("\n".join(keys(prefix))),
        "copy": lambda old, new: s3.copy({"Bucket": BUCKET, "Key": old}, BUCKET, new),
        "move": move,
        "delete": lambda key: s3.delete_object(Bucket=BUCKET, Key=key),
        "presigned get": lambda key: print(url("get_object", key)),
        "presigned put": lambda key: print(url("put_object", key)),
        "presigned post": lambda key: print(json.dumps(s3.generate_presigned_post(BUCKET, key))),
    }


def of_minio():
    from datetime import datetime, timedelta, timezone

    from minio import Minio
    from minio.commonconfig import ComposeSource, CopySource
    from minio.datatypes import PostPolicy

    s3 = Minio(URL.removeprefix("http://"), secure=False, region="us-east-1", **KEYS)

    def copy(old, new):
        # What is larger than a part goes by parts, as `mc cp` does it.
        if s3.stat_object(BUCKET, old).size < 5 << 20:
            return s3.copy_object(BUCKET, new, CopySource(BUCKET, old))
        return s3.compose_object(BUCKET, new, [ComposeSource(BUCKET, old)] * 1)

    def move(old, new):
        copy(old, new)
        s3.remove_object(BUCKET, old)

    def post(key):
        policy = PostPolicy(BUCKET, datetime.now(timezone.utc) + timedelta(minutes=5))
        policy.add_equals_condition("key", key)
        fields = {"key": key} | s3.presigned_post_policy(policy)
        print(json.dumps({"url": f"{URL}/{BUCKET}", "fields": fields}))

    return {
        "put": lambda file, key: s3.fput_object(BUCKET, key, file, part_size=5 << 20),
        "get": lambda key, file: s3.fget_object(BUCKET, key, file),
        "list": lambda prefix: print(
            "\n".join(item.object_name for item in s3.list_objects(BUCKET, prefix, recursive=True))
        ),
        "copy": copy,
        "move": move,
        "delete": lambda key: s3.remove_object(BUCKET, key),
        "presigned get": lambda key: print(s3.presigned_get_object(BUCKET, key)),
        "presigned put": lambda key: print(s3.presigned_put_object(BUCKET, key)),
        "presigned post": post,
    }


def of_s3fs():
    import s3fs

    s3 = s3fs.S3FileSystem(endpoint_url=URL)
    path = lambda key: f"{BUCKET}/{key}"
    return {
        "put": lambda file, key: s3.put_file(file, path(key), chunksize=5 << 20),
        "get": lambda key, file: s3.get_file(path(key), file),
        "list": lambda prefix: print("\n".join(s3.find(path(prefix)))),
        "copy": lambda old, new: s3.copy(path(old), path(new)),
        "move": lambda old, new: s3.mv(path(old), path(new)),
        "delete": lambda key: s3.rm_file(path(key)),
        "presigned get": lambda key: print(s3.sign(path(key))),
    }


def of_pyarrow():
    from pyarrow import fs

    s3 = fs.S3FileSystem(
        endpoint_override=URL.removeprefix("http://"), scheme="http", region="us-east-1", **KEYS
    )
    here = fs.LocalFileSystem()
    path = lambda key: f"{BUCKET}/{key}"
    return {
        "put": lambda file, key: fs.copy_files(file, path(key), here, s3),
        "get": lambda key, file: fs.copy_files(path(key), file, s3, here),
        "list": lambda prefix: print(
            "\n".join(
                item.path
                for item in s3.get_file_info(fs.FileSelector(path(prefix), recursive=True))
            )
        ),
        "copy": lambda old, new: s3.copy_file(path(old), path(new)),
        "move": lambda old, new: s3.move(path(old), path(new)),
        "delete": lambda key: s3.delete_file(path(key)),
    }


def of_polars():
    import polars

    options = {
        "aws_endpoint_url": URL,
        "aws_allow_http": "true",
        "aws_access_key_id": "rowproof",
        "aws_secret_access_key": "rowproof",
        "aws_region": "us-east-1",
    }
    s3 = lambda key: f"s3://{BUCKET}/{key}"
    text = {"infer_schema": False}

    def put(file, key):
        polars.read_csv(file, **text).lazy().sink_csv(s3(key), storage_options=options)

    def get(key, file):
        polars.scan_csv(s3(key), storage_options=options, **text).collect().write_csv(file)

    return {"put": put, "get": get}


def main():
    client, operation, *given = sys.argv[1:]
    able = {
        "boto3": of_boto3,
        "minio": of_minio,
        "polars": of_polars,
        "pyarrow": of_pyarrow,
        "s3fs": of_s3fs,
    }[client]()
    if operation not in able:
        sys.exit(64)
    able[operation](*given)


main()
