//! Reads values out of a TOML text with their lines, and gathers what is wrong instead of stopping at the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fangshi_lanes::Figures;
use secrecy::SecretString;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind, PLANS, is_section, join, limits, limits_of_plan, names_in};
use super::problem::{ConfigError, Problem};

/// The environment, as far as a config asks for it: a name to its value.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A config file while it is read.
pub struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    top: DeTable<'a>,
    environment: Environment<'a>,
    problems: Vec<Problem>,
}

/// A value and the line it stands on.
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Line in the file, from 1; `None` if the value came from elsewhere.
    pub line: Option<usize>,
}

impl<'a> Reader<'a> {
    /// Parses the text and refuses keys that do not exist. A syntax error ends it here, with its line.
    pub fn new(file: &'a Path, text: &'a str, environment: Environment<'a>) -> Result<Self, ConfigError> {
        let top = DeTable::parse(text).map_err(|error| {
            // Only message and line: the parser's own rendering quotes the text, which may hold a secret.
            let line = error.span().map(|span| line_at(text, span.start));
            let message = format!("not TOML: {}", first_line(error.message()));
            ConfigError::whole_file(file, line, message)
        })?;
        let mut reader = Reader { file, text, top: top.into_inner(), environment, problems: Vec::new() };
        reader.refuse_unknown();
        Ok(reader)
    }

    /// Text of a key, if it is there.
    pub fn text(&mut self, key: &Key) -> Option<Found<String>> {
        let (value, line) = self.look(key.section, key.name)?;
        match value {
            DeValue::String(text) if !text.trim().is_empty() => {
                Some(Found { value: text.into_owned(), line: Some(line) })
            }
            DeValue::String(_) => {
                self.wrong(key, Some(line), "an empty text");
                None
            }
            other => {
                self.wrong(key, Some(line), kind_of(&other));
                None
            }
        }
    }

    /// A path, absolute or taken from the config file's folder.
    pub fn path(&mut self, key: &Key) -> Option<PathBuf> {
        let found = self.text(key)?;
        Some(self.beside(&found.value))
    }

    /// A whole number within the key's bounds.
    pub fn number(&mut self, key: &Key) -> Option<u64> {
        let (value, line) = self.look(key.section, key.name)?;
        let (least, most) = match key.kind {
            Kind::Number(least, most) => (least, most),
            _ => (0, u64::MAX),
        };
        let DeValue::Integer(digits) = value else {
            self.wrong(key, Some(line), kind_of(&value));
            return None;
        };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.wrong(key, Some(line), &digits.to_string());
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &Key) -> Option<Found<Vec<String>>> {
        let (value, line) = self.look(key.section, key.name)?;
        let DeValue::Array(items) = value else {
            self.wrong(key, Some(line), kind_of(&value));
            return None;
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(text.trim().to_owned()),
                other => {
                    self.wrong(key, Some(line), kind_of(other));
                    return None;
                }
            }
        }
        Some(Found { value: texts, line: Some(line) })
    }

    /// The limits in `[limits]` that everybody has.
    pub fn figures(&mut self) -> Figures {
        let found = limits().into_iter().filter_map(|key| Some((key.name.to_owned(), self.number(&key)?)));
        found.collect()
    }

    /// The sections `[plans.NAME]`.
    pub fn plans(&mut self) -> BTreeMap<String, Figures> {
        let Some(section) = self.top.get(PLANS) else { return BTreeMap::new() };
        let line = line_at(self.text, section.span().start);
        let Some(plans) = section.get_ref().as_table().cloned() else {
            self.problem(PLANS.to_owned(), Some(line), "expected sections `[plans.NAME]`".to_owned());
            return BTreeMap::new();
        };
        let mut read = BTreeMap::new();
        for (name, plan) in plans.iter() {
            let line = line_at(self.text, name.span().start);
            let name = name.get_ref().to_string();
            let path = join(PLANS, &name);
            let usable = (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            match plan.get_ref().as_table() {
                Some(members) if usable => {
                    let figures = self.figures_of(&path, members);
                    read.insert(name, figures);
                }
                Some(_) => {
                    let expected = "expected a plan's name of 1 to 64 letters, digits, `-` and `_`";
                    self.problem(path, Some(line), expected.to_owned());
                }
                None => {
                    let message = format!("expected a section `[{path}]`; found {}", kind_of(plan.get_ref()));
                    self.problem(path, Some(line), message);
                }
            }
        }
        read
    }

    fn figures_of(&mut self, path: &str, members: &DeTable<'a>) -> Figures {
        let known = limits_of_plan();
        let mut figures = Figures::new();
        for (name, value) in members.iter() {
            let line = line_at(self.text, name.span().start);
            let name = name.get_ref().to_string();
            let Some(key) = known.iter().find(|key| key.name == name) else {
                let names: Vec<&str> = known.iter().map(|key| key.name).collect();
                let message = format!("unknown limit; expected one of these in [{path}]: {}", names.join(", "));
                self.problem(join(path, &name), Some(line), message);
                continue;
            };
            let Kind::Number(least, most) = key.kind else { continue };
            let digits = value.get_ref().as_integer();
            let number = digits.and_then(|digits| u64::from_str_radix(digits.as_str(), digits.radix()).ok());
            match number {
                Some(number) if (least..=most).contains(&number) => {
                    figures.insert(name, number);
                }
                _ => {
                    let found = digits.map_or_else(|| kind_of(value.get_ref()).to_owned(), ToString::to_string);
                    let message = format!("expected {}; found {found}", key.wanted());
                    self.problem(join(path, &name), Some(line), message);
                }
            }
        }
        figures
    }

    /// A secret: the environment first, else the file named by `NAME_file`, else the key itself.
    /// Both forms in one config file are refused, since nobody could say which was meant.
    pub fn secret(&mut self, key: &Key) -> Option<Found<SecretString>> {
        let inline = self.look(key.section, key.name);
        let file_name = format!("{}_file", key.name);
        let from_file = self.look(key.section, &file_name);
        if let (Some(_), Some((_, line))) = (&inline, &from_file) {
            let message = format!("expected only one of `{}` and `{file_name}`", key.name);
            self.problem(join(key.section, &file_name), Some(*line), message);
            return None;
        }
        let variable = key.variable();
        if let Some(value) = (self.environment)(&variable) {
            return self.keep_secret(key, None, value, &format!("the environment's {variable} is empty"));
        }
        if let Some((value, line)) = from_file {
            let DeValue::String(path) = value else {
                let message = format!("expected the path of a file as text, found {}", kind_of(&value));
                self.problem(join(key.section, &file_name), Some(line), message);
                return None;
            };
            let path = self.beside(&path);
            return match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let empty = format!("{} is empty", path.display());
                    self.keep_secret(key, Some(line), text, &empty)
                }
                Err(error) => {
                    let message =
                        format!("expected a readable text file with {}; {}: {error}", key.expected, path.display());
                    self.problem(join(key.section, &file_name), Some(line), message);
                    None
                }
            };
        }
        match inline? {
            (DeValue::String(text), line) => self.keep_secret(key, Some(line), text.into_owned(), "an empty text"),
            (other, line) => {
                self.wrong(key, Some(line), kind_of(&other));
                None
            }
        }
    }

    /// Notes that a key's value is not what is expected. `found` must not be the value of a secret.
    pub fn wrong(&mut self, key: &Key, line: Option<usize>, found: &str) {
        let message = format!("expected {}; found {found}", key.wanted());
        self.problem(key.path(), line, message);
    }

    /// Notes that a variable of the environment is not what is expected. `message` must not hold its value.
    pub fn wrong_variable(&mut self, variable: &str, message: &str) {
        self.problem(variable.to_owned(), None, message.to_owned());
    }

    /// Notes that a key is needed and missing.
    pub fn missing(&mut self, key: &Key, why: &str) {
        let mut message = format!("missing{why}; expected {}", key.wanted());
        if key.kind == Kind::Secret {
            message.push_str(&format!(" (or `{}_file`, or the environment's {})", key.name, key.variable()));
        }
        self.problem(key.path(), None, message);
    }

    /// Whether something about this key, or its `_file` form, was already noted.
    pub fn reported(&self, path: &str) -> bool {
        let file = format!("{path}_file");
        self.problems.iter().any(|problem| problem.key == path || problem.key == file)
    }

    /// Ends the reading: everything that was wrong, or nothing.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let mut problems = self.problems;
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        Err(ConfigError { problems })
    }

    /// A path of the config, taken from the config file's folder if it is relative.
    pub fn beside(&self, path: &str) -> PathBuf {
        folder_of(self.file).join(path)
    }

    fn keep_secret(
        &mut self,
        key: &Key,
        line: Option<usize>,
        value: String,
        empty: &str,
    ) -> Option<Found<SecretString>> {
        let trimmed = value.trim();
        if trimmed.is_empty() {
            self.wrong(key, line, empty);
            return None;
        }
        Some(Found { value: SecretString::from(trimmed), line })
    }

    fn problem(&mut self, key: String, line: Option<usize>, message: String) {
        self.problems.push(Problem { key, file: self.file.to_owned(), line, message });
    }

    fn look(&self, section: &str, name: &str) -> Option<(DeValue<'a>, usize)> {
        let table = if section.is_empty() { &self.top } else { self.top.get(section)?.get_ref().as_table()? };
        let value = table.get(name)?;
        let line = line_at(self.text, value.span().start);
        Some((value.get_ref().clone(), line))
    }

    fn refuse_unknown(&mut self) {
        let mut unknown = Vec::new();
        for (name, value) in self.top.iter() {
            let line = line_at(self.text, name.span().start);
            let name = name.get_ref();
            // Its sections have any name; they are looked at one by one.
            if name == PLANS {
                continue;
            }
            if !is_section(name) {
                if !names_in("").iter().any(|known| known == name) {
                    unknown.push((String::new(), name.to_string(), line));
                }
                continue;
            }
            match section_keys(value) {
                Some(names) => {
                    let known = names_in(name);
                    for (inner, start) in names {
                        if !known.contains(&inner) {
                            let line = line_at(self.text, start);
                            unknown.push((name.to_string(), inner, line));
                        }
                    }
                }
                None => {
                    let message = format!("expected a section `[{name}]`; found {}", kind_of(value.get_ref()));
                    self.problems.push(Problem {
                        key: name.to_string(),
                        file: self.file.to_owned(),
                        line: Some(line),
                        message,
                    });
                }
            }
        }
        for (section, name, line) in unknown {
            let place = if section.is_empty() { "the top of the file".to_owned() } else { format!("[{section}]") };
            let known = names_in(&section).join(", ");
            let message = format!("unknown key; expected one of these in {place}: {known}");
            self.problem(join(&section, &name), Some(line), message);
        }
    }
}

/// Names of a section and where each begins.
fn section_keys(value: &Spanned<DeValue<'_>>) -> Option<Vec<(String, usize)>> {
    let table = value.get_ref().as_table()?;
    let names = table.keys().map(|name| (name.get_ref().to_string(), name.span().start)).collect();
    Some(names)
}

/// The folder of a file, "." if it has none.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
