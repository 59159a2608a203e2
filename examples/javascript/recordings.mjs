// Upload recordings with tags, find them, download one.
import { BlobServiceClient } from "@azure/storage-blob";

const calls = [
  ["calls/1.mp3", "otto", 1000],
  ["calls/2.mp3", "uwe", 2000],
];

const service = BlobServiceClient.fromConnectionString(process.env.RETAIN_BLOBS);
const recordings = service.getContainerClient("recordings");

for (const [name, agent, size] of calls) {
  await recordings.getBlockBlobClient(name).uploadData(Buffer.alloc(size), {
    tags: { RecordingType: "CALL", Agent: agent, StoredTime: "2026-11-22" },
    blobHTTPHeaders: { blobContentType: "audio/mpeg" },
  });
}

const wanted = "RecordingType='CALL' AND Agent='uwe' AND StoredTime>='2026-11-01'";
for await (const found of recordings.findBlobsByTags(wanted)) {
  console.log(`found: ${found.name}`);
  const content = await recordings.getBlobClient(found.name).downloadToBuffer();
  console.log(`downloaded: ${content.length} bytes`);
}
