// snarkjs's own contribution with the system's randomness replaced by given bytes:
// `node contribute-fixed.mjs old.zkey new.zkey name entropy hex`. For comparison only.
import crypto from "node:crypto";
import { createRequire } from "node:module";

const [from, to, name, entropy, random] = process.argv.slice(2);
crypto.randomFillSync = (array) => {
    const bytes = Buffer.from(random, "hex");
    if (array.length !== bytes.length) throw new Error(`asked for ${array.length} random bytes`);
    array.set(bytes);
    return array;
};
const { zKey } = createRequire(import.meta.url)("snarkjs");
const hash = await zKey.contribute(from, to, name, entropy);
console.log(Buffer.from(hash).toString("hex"));
process.exit(0);
