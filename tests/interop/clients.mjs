// One operation of the AWS SDK for JavaScript; `clients.py` runs it where the packages are installed.
//
//     node clients.mjs OPERATION ARGUMENT...
//
// Ends with 64 where there is no such operation.

import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";

import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCopyCommand,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = "input";
const PART = 5 * 1024 * 1024;
const s3 = new S3Client({ endpoint: process.env.AWS_ENDPOINT_URL, forcePathStyle: true });
const source = (key) => `${Bucket}/${encodeURIComponent(key)}`;

async function copy(from, Key) {
  const { ContentLength: size } = await s3.send(new HeadObjectCommand({ Bucket, Key: from }));
  if (size < PART) {
    await s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: source(from) }));
    return;
  }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const Parts = [];
  for (let start = 0; start < size; start += PART) {
    const PartNumber = Parts.length + 1;
    const CopySourceRange = `bytes=${start}-${Math.min(start + PART, size) - 1}`;
    const part = { Bucket, Key, UploadId, PartNumber, CopySource: source(from), CopySourceRange };
    const { CopyPartResult } = await s3.send(new UploadPartCopyCommand(part));
    Parts.push({ PartNumber, ETag: CopyPartResult.ETag });
  }
  const MultipartUpload = { Parts };
  await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
}

const able = {
  put: (file, Key) =>
    new Upload({ client: s3, params: { Bucket, Key, Body: createReadStream(file) } }).done(),
  get: async (Key, file) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    await pipeline(Body, createWriteStream(file));
  },
  list: async (Prefix) => {
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix })) {
      for (const { Key } of page.Contents ?? []) console.log(Key);
    }
  },
  copy,
  move: async (from, to) => {
    await copy(from, to);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: from }));
  },
  delete: (Key) => s3.send(new DeleteObjectCommand({ Bucket, Key })),
  "presigned get": async (Key) =>
    console.log(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }))),
  "presigned put": async (Key) =>
    console.log(await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key }))),
};

const [operation, ...given] = process.argv.slice(2);
if (!(operation in able)) process.exit(64);
await able[operation](...given);
