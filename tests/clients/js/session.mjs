// What an application does with a tenant: list, upload, download, find. Prints one JSON object of what it saw.
// Arguments: a connection string, the account's URL with its token, a container's URL with its token.
import { BlobServiceClient, ContainerClient } from "@azure/storage-blob";
import { randomBytes } from "node:crypto";

const [connection, accountUrl, containerUrl] = process.argv.slice(2);
const seen = {};

async function namesOf(pages) {
  const names = [];
  for await (const item of pages) names.push(item.kind === "prefix" ? `${item.name}…` : item.name);
  return names;
}

const owner = BlobServiceClient.fromConnectionString(connection).getContainerClient("recordings");
const tags = { RecordingType: "CALL", StoredTime: "2022-01-10T06:01:34Z" };
const small = Buffer.from("small");
await owner.uploadBlockBlob("8888/small", small, small.length, { tags, metadata: { FooBar: "1" } });
const large = randomBytes(9 << 20);
const blocks = owner.getBlockBlobClient("8888/large ä+%");
await blocks.uploadData(large, { maxSingleShotSize: 1 << 20, blockSize: 2 << 20, concurrency: 4 });
await owner.uploadBlockBlob("other/empty", "", 0, { tags: { ...tags, RecordingType: "SCREEN" } });

const reader = new ContainerClient(containerUrl);
seen.flat = await namesOf(reader.listBlobsFlat({ prefix: "8888/" }));
seen.pages = [];
for await (const page of reader.listBlobsFlat().byPage({ maxPageSize: 2 }))
  seen.pages.push(page.segment.blobItems.length);
seen.hierarchy = (await namesOf(reader.listBlobsByHierarchy("/"))).sort();
seen.small = (await reader.getBlobClient("8888/small").downloadToBuffer()).toString();
seen.metadata = (await reader.getBlobClient("8888/small").getProperties()).metadata;
seen.same = large.equals(await reader.getBlobClient("8888/large ä+%").downloadToBuffer());
seen.range = (await reader.getBlobClient("8888/small").downloadToBuffer(1, 3)).toString();
seen.empty = (await reader.getBlobClient("other/empty").download()).contentLength;

const finder = new BlobServiceClient(accountUrl);
const where = "@container='recordings' AND RecordingType = 'CALL' AND StoredTime >= '2022-01-09T00:00:00Z'";
seen.found = await namesOf(finder.findBlobsByTags(where));
try {
  await finder.getContainerClient("recordings").listBlobsFlat().next();
  seen.refused = null;
} catch (error) {
  seen.refused = error.code;
}

const service = BlobServiceClient.fromConnectionString(connection);
const doomed = ["batch/a b", "batch/ü", "batch/c"].map((name) => owner.getBlockBlobClient(name));
for (const blob of doomed) await blob.upload("x", 1);
const statuses = (answer) => answer.subResponses.map((part) => part.status);
const first = service.getBlobBatchClient();
seen.tiered = statuses(await first.setBlobsAccessTier(doomed.slice(0, 2), "Cool"));
seen.deleted = statuses(await first.deleteBlobs(doomed.slice(0, 2)));
const missing = await owner.getBlobBatchClient().deleteBlobs([doomed[0], doomed[2]]);
seen.partly = [missing.subResponses[0].errorCode, missing.subResponses[1].status];
console.log(JSON.stringify(seen));
