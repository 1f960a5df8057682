// What snarkjs's random generator yields, as JSON: `node ceremony-vectors.mjs`.
// Points and scalars are hex in snarkjs's own layout: little-endian, Montgomery form, affine.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const snarkjs = createRequire(import.meta.url).resolve("snarkjs");
const { ChaCha, buildBn128 } = createRequire(snarkjs)("ffjavascript");
const misc = await import(pathToFileURL(`${snarkjs}/../../src/misc.js`));
const { hashToG2 } = await import(pathToFileURL(`${snarkjs}/../../src/keypair.js`));
const curve = await buildBn128(true);

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const affine = (group, point) => hex(group.toAffine(point));
const uncompressed = (group, point) => hex(group.toUncompressed(point));
const bytes = (length, first) => Uint8Array.from({ length }, (_, i) => (first + 37 * i) & 0xff);

function drawn(rng) {
    const scalar = hex(curve.Fr.fromRng(rng));
    const g1 = curve.G1.fromRng(rng);
    const g2 = curve.G2.fromRng(rng);
    return {
        scalar,
        g1: affine(curve.G1, g1),
        g1Uncompressed: uncompressed(curve.G1, g1),
        g2: affine(curve.G2, g2),
        g2Uncompressed: uncompressed(curve.G2, g2),
        afterwards: rng.nextU32(),
    };
}

const seeds = [];
const beacons = [];
const hashes = [];
for (let n = 0; n < 12; n++) {
    const seed = bytes(32, n * 11);
    const view = new DataView(seed.buffer);
    const words = Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i));
    seeds.push({ seed: hex(seed), ...drawn(new ChaCha(words)) });
    const digest = bytes(64, n * 13 + 1);
    hashes.push({ digest: hex(digest), g2: affine(curve.G2, hashToG2(curve, digest)) });
}
for (const [length, exponent] of [[1, 10], [32, 10], [32, 11], [255, 12]]) {
    const hash = bytes(length, length);
    const rng = await misc.rngFromBeaconParams(hash, exponent);
    beacons.push({ hash: hex(hash), exponent, ...drawn(rng) });
}
console.log(JSON.stringify({ seeds, hashes, beacons }, null, 1));
process.exit(0);
