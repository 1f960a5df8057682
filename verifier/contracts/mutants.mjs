// Mutants of the contract: each check, operator, statement and event removed or turned round, one at a
// time, against the tests of the bytecode.
//
//   node mutants.mjs build      all mutants in one bytecode, and the tests that read it (target/mutants)
//   node mutants.mjs run        the fast tests on every mutant that has no result yet; `--again` all on survivors
//   node mutants.mjs confirm    survivors compiled one by one as build.mjs does: the same bytecode is no mutant
//   node mutants.mjs table      what was killed; exit 1 unless every survivor is the same bytecode or justified
//
// One compilation takes half a minute, hence one for all: a constant of the sources says which mutant is
// alive, the Yul optimizer is off so that the constant stays in the bytecode, and the tests get
// a copy of the bytecode with the mutant's number in its place. Production code embeds its artifact: the
// tests run in a copy of the tree where one line reads it from a file.
import { createRequire } from "node:module";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CHOICE, DECLARATION, IMPORT, alone, mutantsOf } from "./mutants/operators.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "..", "..");
const work = path.join(root, "target", "mutants");
const tree = path.join(work, "tree");
const RESULTS = path.join(work, "results.jsonl");
const JUSTIFIED = path.join(here, "mutants", "justified.json");
const HANG_MS = 300_000;
// Prices are those of the optimized bytecode.
const SKIPPED = ["price::an_entrys_share_pays_the_gas_of_serving_it_at_every_base_fee"];

const SLOW = ["fuzz::", "differential::", "flood::"];
const STAGES = [SLOW.flatMap((name) => ["--skip", name]), ...SLOW.map((name) => [name])];

const AS_BUILT = {
  evmVersion: "cancun",
  viaIR: true,
  optimizer: { enabled: true, runs: 2000 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
};
const NOT_OPTIMIZED = {
  ...AS_BUILT,
  optimizer: { enabled: false, details: { yul: true, yulDetails: { stackAllocation: true, optimizerSteps: ":" } } },
};

// What a mutant's tests need beside the artifact from a file: room for a bytecode that is not optimized.
const PATCHES = {
  "verifier/src/contract.rs": [
    ["with_arguments(&Kerros::BYTECODE, ", "with_arguments(&chosen(), "],
    [
      "fn with_arguments(",
      `fn chosen() -> Bytes {
    let path = std::env::var("KERROS_CONTRACT").expect("an artifact");
    let text = std::fs::read_to_string(path).expect("an artifact");
    let artifact: serde_json::Value = serde_json::from_str(&text).expect("an artifact");
    artifact["bytecode"].as_str().expect("bytecode").parse().expect("hexadecimal")
}

fn with_arguments(`,
    ],
  ],
  "verifier/tests/bytecode/machine.rs": [
    ["const GAS_MAX: u64 = 1 << 24;", "const GAS_MAX: u64 = 1 << 28;"],
    [
      "cfg.disable_nonce_check = true;",
      `cfg.disable_nonce_check = true;
                cfg.limit_contract_code_size = Some(usize::MAX);
                cfg.limit_contract_initcode_size = Some(usize::MAX);
                cfg.tx_gas_limit_cap = Some(u64::MAX);`,
    ],
  ],
};

function compile(sources, settings) {
  const solc = createRequire(import.meta.url)("solc");
  const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));
  const errors = (output.errors ?? []).filter((problem) => problem.severity === "error");
  return { errors: errors.map((problem) => problem.formattedMessage), output };
}

function bytecode(sources, settings) {
  const wanted = { "Kerros.sol": { Kerros: ["evm.bytecode.object"] } };
  const { errors, output } = compile(sources, { ...settings, outputSelection: wanted });
  return errors.length > 0 ? { errors } : { code: output.contracts["Kerros.sol"].Kerros.evm.bytecode.object };
}

function contracts() {
  const names = fs.readdirSync(here).filter((name) => name.endsWith(".sol")).sort();
  return Object.fromEntries(names.map((name) => [name, { content: fs.readFileSync(path.join(here, name), "utf8") }]));
}

/// All mutants, and the sources that hold all of them.
function everything() {
  const sources = contracts();
  const { output } = compile(sources, { outputSelection: { "*": { "": ["ast"] } } });
  const mutants = [];
  const schemata = { "Mutant.sol": { content: DECLARATION } };
  for (const [file, { content }] of Object.entries(sources)) {
    const made = mutantsOf(file, Buffer.from(content), output.sources[file].ast, mutants.length + 1);
    for (const mutant of made.mutants) {
      const like = (other) => ["file", "kind", "text"].every((key) => other[key] === mutant[key]);
      mutants.push({ ...mutant, nth: mutants.filter(like).length });
    }
    schemata[file] = { content: made.schemata.replace(/pragma[^;]*;\n/, (pragma) => pragma + IMPORT) };
  }
  return { mutants, schemata, sources };
}

function build() {
  const { mutants, schemata } = everything();
  const { code, errors } = bytecode(schemata, NOT_OPTIMIZED);
  if (errors) throw new Error(errors.join("\n"));
  fs.mkdirSync(work, { recursive: true });
  fs.writeFileSync(path.join(work, "mutants.json"), JSON.stringify(mutants, null, 1));
  fs.writeFileSync(path.join(work, "bytecode.hex"), code);
  console.log(`${mutants.length} mutants in ${code.length / 2} bytes of init code`);

  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root }).toString().trim().split("\n");
  for (const file of files) {
    const [from, to] = [path.join(root, file), path.join(tree, file)];
    if (!fs.existsSync(from)) continue;
    let content = fs.readFileSync(from);
    for (const [before, after] of PATCHES[file] ?? []) {
      const text = content.toString();
      if (text.split(before).length !== 2) throw new Error(`${file}: ${before} is not there once`);
      content = Buffer.from(text.replace(before, () => after));
    }
    // Only what changed is written, so that cargo builds only that.
    if (fs.existsSync(to) && fs.readFileSync(to).equals(content)) continue;
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.writeFileSync(to, content);
  }
  const cargo = "test --release --workspace --offline --test bytecode --no-run --message-format json".split(" ");
  // Of its own: in a shared one cargo takes the crates of both trees for the same.
  const env = { ...process.env, CARGO_TARGET_DIR: path.join(work, "cargo") };
  const options = { cwd: tree, env, maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] };
  const messages = execFileSync("cargo", cargo, options).toString().trim().split("\n").map((line) => JSON.parse(line));
  const test = messages.find((message) => message.executable && message.target?.name === "bytecode");
  fs.copyFileSync(test.executable, path.join(work, "tests"));
}

/// The tests on one mutant; 0 is none. The first test that fails is enough; the fast ones come first.
async function test(number, stages) {
  const started = Date.now();
  const template = fs.readFileSync(path.join(work, "bytecode.hex"), "utf8");
  const code = number === 0 ? template : template.replaceAll(CHOICE, number.toString(16).padStart(64, "0"));
  const artifact = path.join(work, `artifact-${number}.json`);
  fs.writeFileSync(artifact, JSON.stringify({ bytecode: `0x${code}` }));
  let by = null;
  for (const stage of stages) by ??= await firstFailure(artifact, stage);
  fs.rmSync(artifact);
  return { by, seconds: (Date.now() - started) / 1000 };
}

function firstFailure(artifact, stage) {
  return new Promise((resolve) => {
    const skips = SKIPPED.flatMap((name) => ["--skip", name]);
    const child = spawn(path.join(work, "tests"), ["--test-threads", "2", ...skips, ...stage], {
      cwd: path.join(tree, "verifier"),
      env: { KERROS_CALLS: "6000", ...process.env, KERROS_CONTRACT: artifact, RUST_BACKTRACE: "0" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    let by = null;
    const hang = setTimeout(() => {
      by ??= "hang";
      child.kill("SIGKILL");
    }, HANG_MS);
    child.stdout.on("data", (chunk) => {
      text += chunk;
      const failed = /^test (\S+) \.\.\. FAILED/m.exec(text);
      if (failed && by === null) {
        by = failed[1];
        child.kill("SIGKILL");
      }
    });
    child.on("close", (status) => {
      clearTimeout(hang);
      resolve(by ?? (status === 0 ? null : "crash"));
    });
  });
}

function known() {
  return JSON.parse(fs.readFileSync(path.join(work, "mutants.json"), "utf8"));
}

/// What a mutant is, wherever it stands in its file.
function identity({ file, kind, text, nth }) {
  return `${file} ${kind} ${nth}: ${text}`;
}

/// The last result of each mutant.
function results() {
  const text = fs.existsSync(RESULTS) ? fs.readFileSync(RESULTS, "utf8").trim() : "";
  const found = new Map();
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const result = JSON.parse(line);
    found.set(result.identity, { ...found.get(result.identity), ...result });
  }
  return found;
}

function record(result) {
  fs.appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
}

async function run(again, jobs) {
  const done = results();
  const open = known().filter((mutant) => {
    const result = done.get(identity(mutant));
    return !result || (again && result.by === null && !result.same);
  });
  const stages = again ? STAGES : STAGES.slice(0, 1);
  const plain = await test(0, stages);
  if (plain.by !== null) throw new Error(`without any mutant: ${plain.by} fails`);
  console.log(`${open.length} to do; without a mutant all pass in ${plain.seconds} s`);
  const worker = async () => {
    for (let mutant = open.shift(); mutant; mutant = open.shift()) {
      const result = await test(mutant.number, stages);
      record({ identity: identity(mutant), ...result });
      const { file, line, kind, text } = mutant;
      if (result.by === null) console.log(`survives: ${file}:${line} ${kind}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

/// Survivors as the deployed contract would be built. Half a minute each.
function confirm() {
  const sources = contracts();
  const original = bytecode(sources, AS_BUILT).code;
  const done = results();
  for (const mutant of known()) {
    const id = identity(mutant);
    const result = done.get(id);
    if (result?.by !== null || result.same !== undefined || justification(mutant)) continue;
    const text = alone(Buffer.from(sources[mutant.file].content), mutant);
    const { code, errors } = bytecode({ ...sources, [mutant.file]: { content: text } }, AS_BUILT);
    const same = errors ? "does not compile" : code === original && "same bytecode";
    record({ identity: id, same });
    console.log(`${mutant.file}:${mutant.line} ${mutant.kind}: ${mutant.text}: ${same || "another bytecode"}`);
  }
}

const reasons = fs.existsSync(JUSTIFIED) ? JSON.parse(fs.readFileSync(JUSTIFIED, "utf8")) : [];

function justification({ file, kind, text }) {
  return reasons.find((entry) => entry.file === file && entry.kind === kind && entry.text === text)?.reason;
}

function table() {
  const done = results();
  const files = {};
  const left = [];
  for (const mutant of known()) {
    const row = (files[mutant.file] ??= { mutants: 0, killed: 0, same: 0, justified: 0, survive: 0 });
    row.mutants += 1;
    const result = done.get(identity(mutant));
    if (result && result.by !== null) row.killed += 1;
    else if (result?.same) row.same += 1;
    else if (result && justification(mutant)) row.justified += 1;
    else {
      row.survive += 1;
      left.push(`${mutant.file}:${mutant.line} ${mutant.kind}: ${mutant.text}${result ? "" : " (not run)"}`);
    }
  }
  console.table(files);
  left.forEach((one) => console.log(one));
  process.exit(left.length > 0 ? 1 : 0);
}

const [command, ...options] = process.argv.slice(2);
const jobs = Number(process.env.KERROS_JOBS ?? 2);
if (command === "build") build();
else if (command === "run") await run(options.includes("--again"), jobs);
else if (command === "confirm") confirm();
else if (command === "table") table();
else throw new Error("build, run, confirm or table");
