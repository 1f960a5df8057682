//! Settings in four layers with one precedence: flag, environment, file, default. Whatever the
//! first of them says counts.
//!
//! The file is TOML; its keys are the flags' names with `_` for `-`. Its values become defaults of
//! the command line's parser, so that every layer is checked by the same rules. Does not know which
//! settings there are. Messages about the file never quote a value or a line, nor a key that does not
//! look like a name: what stands in a wrong place may be a secret.

use clap::builder::Command;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Parser};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// Names the file; cannot stand in it.
const CONFIG: &str = "config";
/// Asks for the settings instead of the service; cannot stand in the file.
const PRINT_CONFIG: &str = "print_config";

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Flags or environment, or a call for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// File.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the file.
    #[error("{path}, line {line}: {problem}")]
    File {
        /// File.
        path: String,
        /// From 1.
        line: usize,
        /// What.
        problem: FileProblem,
    },
}

/// What is wrong with a line of the file.
#[derive(Debug, Error)]
pub enum FileProblem {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// No setting of this name.
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    /// No setting of this name, which may be something else.
    #[error("unknown key, not shown because it does not look like a setting's name")]
    UnshownKey,
    /// Another type.
    #[error("`{key}` has type {have}, needs {need}")]
    WrongType {
        /// Key.
        key: String,
        /// Given.
        have: &'static str,
        /// Needed.
        need: &'static str,
    },
    /// The right type and no value of this setting.
    #[error("`{key}`: {problem}")]
    Value {
        /// Key.
        key: String,
        /// What the setting's own check says.
        problem: String,
    },
}

/// Where settings came from.
pub struct Settings {
    command: Command,
    matches: ArgMatches,
    path: Option<PathBuf>,
    /// Lines of the keys that the file has.
    lines: BTreeMap<String, usize>,
}

/// The arguments of all layers, `A` by its flags and variables; `line` begins with the program.
pub fn read<A: Parser>(line: Vec<OsString>) -> Result<(A, Settings), SettingsError> {
    // Help would show what the environment holds.
    let command = A::command().mut_args(|arg| switch(arg).hide_env_values(true));
    // Once without the file, to learn its name.
    let early = command.clone().mut_args(|arg| arg.required(false));
    let path = early.try_get_matches_from(&line)?.get_one::<PathBuf>(CONFIG).cloned();
    let (mut layered, mut lines) = (command.clone(), BTreeMap::new());
    if let Some(path) = &path {
        for (key, (text, line)) in file(path, &command)? {
            // A few words that live as long as the process.
            let text: &'static str = text.leak();
            layered = layered.mut_arg(&key, |arg| arg.required(false).default_value(text));
            lines.insert(key, line);
        }
    }
    let mut matches = layered.try_get_matches_from(&line)?;
    let settings = Settings { command, matches: matches.clone(), path, lines };
    Ok((A::from_arg_matches_mut(&mut matches)?, settings))
}

/// A switch takes `=false` too: else no flag could take back what the file switches on.
fn switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) || arg.get_id() == PRINT_CONFIG {
        return arg;
    }
    let arg = arg.action(ArgAction::Set).value_parser(clap::value_parser!(bool));
    arg.num_args(0..=1).require_equals(true).default_missing_value("true").default_value("false")
}

fn in_file(arg: &Arg) -> bool {
    let asks = matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    !asks && arg.get_id() != CONFIG && arg.get_id() != PRINT_CONFIG
}

/// The TOML type of a setting.
fn needs(arg: &Arg) -> &'static str {
    let have = arg.get_value_parser().type_id();
    let numbers = [TypeId::of::<u8>(), TypeId::of::<u32>(), TypeId::of::<u64>()];
    if have == TypeId::of::<bool>() {
        "boolean"
    } else if numbers.iter().any(|number| have == *number) || have == TypeId::of::<usize>() {
        "integer"
    } else {
        "string"
    }
}

/// Letters a name may have at most to be shown.
const NAME_LETTERS_MAX: usize = 32;

/// Whether a key of the file may be shown although no setting is called so: not if it may be a
/// private key, of which even half is too much.
fn looks_like_name(key: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let long_hex = key.len() >= NAME_LETTERS_MAX && key.bytes().all(|b| b.is_ascii_hexdigit());
    key.len() <= NAME_LETTERS_MAX && key.bytes().all(of_name) && !long_hex
}

/// The values of a file as flags would have them, each checked by itself, with their lines.
fn file(
    path: &Path,
    command: &Command,
) -> Result<BTreeMap<String, (String, usize)>, SettingsError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: shown(), source })?;
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let refuse = |at, problem| SettingsError::File { path: shown(), line: line(at), problem };
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        refuse(at, FileProblem::Syntax(error.message().to_owned()))
    })?;
    let mut values = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let at = key.span().start;
        let key = key.get_ref().to_string();
        let known = command.get_arguments().find(|arg| arg.get_id() == key.as_str());
        let Some(arg) = known.filter(|arg| in_file(arg)) else {
            let named = looks_like_name(&key).then_some(FileProblem::UnknownKey(key));
            return Err(refuse(at, named.unwrap_or(FileProblem::UnshownKey)));
        };
        let (value, need) = (value.get_ref(), needs(arg));
        let text = match value {
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(value) => i128::from_str_radix(value.as_str(), value.radix())
                .map_or_else(|_| value.to_string(), |value| value.to_string()),
            DeValue::String(value) => value.to_string(),
            _ => String::new(),
        };
        let have = value.type_str();
        if have != need {
            return Err(refuse(at, FileProblem::WrongType { key, have, need }));
        }
        check(arg, &text)
            .map_err(|problem| refuse(at, FileProblem::Value { key: key.clone(), problem }))?;
        values.insert(key, (text, line(at)));
    }
    Ok(values)
}

/// Whether the setting's own parser takes this text.
fn check(arg: &Arg, text: &str) -> Result<(), String> {
    let flag = format!("--{}={text}", arg.get_long().unwrap_or_default());
    let alone = Command::new("file").no_binary_name(true).arg(arg.clone().required(false));
    let Err(error) = alone.try_get_matches_from([flag]) else { return Ok(()) };
    let names = arg.get_possible_values().into_iter().map(|value| value.get_name().to_owned());
    let names: Vec<_> = names.collect();
    Err(error.source().map_or_else(|| format!("needs {}", names.join(" or ")), ToString::to_string))
}

impl Settings {
    /// All settings as a file that has the same effect, each with the layer it came from. What
    /// `shown` makes of a value is shown: settings may hold what only a file should.
    pub fn print(&self, shown: impl Fn(&str, &str) -> String) -> String {
        let mut out = String::new();
        for arg in self.command.get_arguments().filter(|arg| in_file(arg)) {
            let id = arg.get_id().as_str();
            let raw =
                self.matches.get_raw(id).map(|values| values.map(|raw| raw.to_string_lossy()));
            let Some(raw) = raw.map(|values| values.collect::<Vec<_>>().join(",")) else {
                let _ = writeln!(out, "# {id} is not set");
                continue;
            };
            let value = shown(id, &raw);
            let value = if needs(arg) == "string" { quoted(&value) } else { value };
            // Writing to a string does not fail.
            let _ = writeln!(out, "{id} = {value} # {}", self.source(arg));
        }
        out
    }
    fn source(&self, arg: &Arg) -> String {
        let id = arg.get_id().as_str();
        match (self.matches.value_source(id), self.lines.get(id), &self.path) {
            (Some(ValueSource::CommandLine), ..) => "flag".to_owned(),
            (Some(ValueSource::EnvVariable), ..) => {
                let name = arg.get_env().unwrap_or_default().to_string_lossy();
                format!("environment, {name}")
            }
            (_, Some(line), Some(path)) => format!("file, {} line {line}", path.display()),
            _ => "default".to_owned(),
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_name_is_shown() {
        let hex = "00112233445566778899aabbccddeeff";
        for name in ["pol_ms", "main-chain", "poster_key", "deadbeef", &hex[1..], &"x".repeat(32)] {
            assert!(looks_like_name(name), "{name}");
        }
        let whole = format!("0x{hex}{hex}");
        for other in [hex, &whole, &whole[2..], &"x".repeat(33), "a key", "https://u:p@node", "ä"]
        {
            assert!(!looks_like_name(other), "{other}");
        }
    }
}
