// One action of @azure/storage-blob on a container, for tests/kit/blob_clients.py. Bytes come and go by standard input
// and output, names as JSON. Arguments: a connection string, a container, the action and what it needs.
import { BlobSASPermissions, BlobServiceClient } from "@azure/storage-blob";
import { buffer } from "node:stream/consumers";

const [connection, containerName, action, ...rest] = process.argv.slice(2);
const container = BlobServiceClient.fromConnectionString(connection).getContainerClient(containerName);
const blob = (name) => container.getBlockBlobClient(name);

async function copy(from, to) {
  await (await blob(to).beginCopyFromURL(blob(from).url, { intervalInMs: 100 })).pollUntilDone();
}

const actions = {
  async write(name) {
    const data = await buffer(process.stdin);
    await blob(name).uploadData(data, { maxSingleShotSize: 1 << 20, blockSize: 1 << 20, concurrency: 2 });
  },
  async read(name, start = "0", count = undefined) {
    process.stdout.write(await blob(name).downloadToBuffer(Number(start), count && Number(count)));
  },
  async list(prefix) {
    const names = [];
    for await (const item of container.listBlobsFlat({ prefix })) names.push(item.name);
    process.stdout.write(JSON.stringify(names));
  },
  copy,
  async rename(from, to) {
    await copy(from, to);
    await blob(from).delete();
  },
  async delete() {
    const names = JSON.parse((await buffer(process.stdin)).toString());
    for (let at = 0; at < names.length; at += 256)
      await container.getBlobBatchClient().deleteBlobs(names.slice(at, at + 256).map(blob));
  },
  async presign(name) {
    const permissions = BlobSASPermissions.parse("r");
    const expiresOn = new Date(Date.now() + 600_000);
    process.stdout.write(await blob(name).generateSasUrl({ permissions, expiresOn }));
  },
};

await actions[action](...rest);
