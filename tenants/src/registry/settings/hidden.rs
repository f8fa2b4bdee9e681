//! The values of secret settings, taken out of what a plugin says.
//!
//! Plugins write what is looked through, and merchants the secrets: so the time of it is bounded by the text, whatever both
//! are. The values are sorted, and a search among them tells how far a text goes along with any of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

/// What stands in a secret's place.
const MASK: &str = "[masked]";
/// Characters from which on a value is looked for: shorter ones stand in texts by chance.
const LEAST: usize = 6;
/// Bytes from which on a part of a value is taken out like the whole of it: nobody says so much of one by chance.
const MUCH: usize = 256;
/// What the host writes where it cut a text.
const CUT: char = '…';

/// The values of an installation's secrets, for taking them out of texts. A plugin that spells one otherwise (in parts,
/// in another alphabet) is not hindered: this is a net under honest mistakes, such as a logged request.
#[derive(Clone, Default)]
pub struct SecretValues(Option<Arc<Values>>);

struct Values {
    /// In their order.
    sorted: Vec<Spelling>,
    /// Bytes that one of them begins with.
    begins: [bool; 256],
}

struct Spelling {
    text: String,
    /// Bytes of the shortest one that this one begins with, which may be itself.
    shortest: usize,
}

impl SecretValues {
    /// Those of the settings with these names.
    pub fn of(settings: &Value, secrets: &BTreeSet<String>) -> SecretValues {
        let mut texts = Vec::new();
        for value in secrets.iter().filter_map(|name| settings.get(name)?.as_str()) {
            // As it is, as JSON spells it, and line by line: a log has lines.
            let json = Value::from(value).to_string();
            let lines = value.lines().map(str::trim).map(str::to_owned);
            texts.extend(lines.chain([value.to_owned(), json[1..json.len() - 1].to_owned()]));
        }
        texts.retain(|text| has_least(text));
        texts.sort_unstable();
        texts.dedup();
        let (mut sorted, mut begins) = (Vec::<Spelling>::with_capacity(texts.len()), [false; 256]);
        let mut shortest = 0;
        for text in texts {
            // What begins with one text stands right behind it.
            let begun = sorted.last().is_some_and(|last| text.starts_with(&last.text[..shortest]));
            shortest = if begun { shortest } else { text.len() };
            begins[usize::from(text.as_bytes()[0])] = true;
            sorted.push(Spelling { text, shortest });
        }
        SecretValues((!sorted.is_empty()).then(|| Arc::new(Values { sorted, begins })))
    }

    /// A text without them.
    pub fn out_of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.0.as_ref().map(|values| values.found_in(text)).unwrap_or_default();
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            shown.push_str(&text[at..start]);
            shown.push_str(MASK);
            at = end;
        }
        shown.push_str(&text[at..]);
        Cow::Owned(shown)
    }

    /// JSON without them, whether they are values or names of members.
    pub fn out_of_json(&self, value: &mut Value) {
        if self.0.is_none() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(shown) = self.out_of(text) {
                    *text = shown;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.out_of_json(item)),
            Value::Object(members) => {
                let taken = std::mem::take(members);
                for (name, mut member) in taken {
                    self.out_of_json(&mut member);
                    members.insert(self.out_of(&name).into_owned(), member);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl Values {
    /// Where in a text they are, in order and apart.
    fn found_in(&self, text: &str) -> Vec<Range<usize>> {
        let (mut found, mut at) = (Vec::<Range<usize>>::new(), 0);
        while at < text.len() {
            let length = self.begun(&text[at..]).unwrap_or(0);
            match found.last_mut() {
                _ if length == 0 => {}
                Some(last) if at < last.end => last.end = last.end.max(at + length),
                _ => found.push(at..at + length),
            }
            // Another one may begin within one. Within much of one it is looked for at the end alone, so that nobody
            // makes us go along with one long text from each of its places.
            let next = at + length.saturating_sub(MUCH).max(1);
            at = (next..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        }
        found
    }

    /// How many bytes at the beginning of a text are to be taken out: there is a whole one, or much of one, or the beginning of
    /// one up to where the text was cut.
    fn begun(&self, text: &str) -> Option<usize> {
        if !self.begins[usize::from(*text.as_bytes().first()?)] {
            return None;
        }
        let (nearest, common) = self.nearest(text.as_bytes());
        let length = (0..=common).rfind(|at| text.is_char_boundary(*at))?;
        let (piece, behind) = text.split_at(length);
        let whole = nearest.shortest <= length;
        (whole || length >= MUCH || behind.starts_with(CUT) && has_least(piece)).then_some(length)
    }

    /// The one that a text goes along with farthest, and for how many bytes.
    fn nearest(&self, text: &[u8]) -> (&Spelling, usize) {
        let (mut from, mut to) = (0, self.sorted.len());
        // How far the text goes along with those right outside: with all in between at least as far as with the lesser.
        let (mut before, mut behind) = (0, 0);
        let mut best = (&self.sorted[0], 0);
        while from < to {
            let middle = from + (to - from) / 2;
            let (spelling, known) = (&self.sorted[middle], before.min(behind));
            let bytes = spelling.text.as_bytes();
            let common = known + in_common(&bytes[known..], &text[known..]);
            if common > best.1 {
                best = (spelling, common);
            }
            if bytes.get(common) <= text.get(common) {
                (from, before) = (middle + 1, common);
            } else {
                (to, behind) = (middle, common);
            }
        }
        best
    }
}

fn has_least(text: &str) -> bool {
    text.chars().nth(LEAST - 1).is_some()
}

/// How many bytes two texts have in common at their beginning.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK));
    let same = blocks.take_while(|(one, other)| one == other).count() * BLOCK;
    same + one[same..].iter().zip(&other[same..]).take_while(|(one, other)| one == other).count()
}

impl std::fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretValues({})", self.0.as_ref().map_or(0, |values| values.sorted.len()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hidden(secrets: &[&str]) -> SecretValues {
        let settings = secrets.iter().enumerate().map(|(n, secret)| (n.to_string(), json!(secret))).collect();
        SecretValues::of(&Value::Object(settings), &(0..secrets.len()).map(|n| n.to_string()).collect())
    }

    #[test]
    fn no_part_is_left_of_one_that_begins_with_another_or_overlaps_it() {
        let values = hidden(&["abcdef", "abcdefghij", "efghijklm", "漢字漢字漢字"]);
        assert_eq!(values.out_of("xabcdefghijx abcdef"), "x[masked]x [masked]");
        assert_eq!(values.out_of("abcdefghijklm"), "[masked]");
        assert_eq!(values.out_of("abcdefghX"), "[masked]X", "as far as it goes along");
        assert_eq!(values.out_of("abcdefabcdef"), "[masked][masked]");
        assert_eq!(values.out_of("字漢字漢字漢字漢"), "字[masked]漢");
        assert_eq!(values.out_of("abcde漢字漢字漢"), "abcde漢字漢字漢");
    }

    #[test]
    fn the_beginning_of_one_is_taken_out_where_a_text_was_cut_and_nowhere_else() {
        let values = hidden(&["abcdefghij", "漢字漢字漢字漢字"]);
        assert_eq!(values.out_of("abcdefgh… [log cut: 9 bytes are kept]"), "[masked]… [log cut: 9 bytes are kept]");
        assert_eq!(values.out_of("漢字漢字漢字漢…"), "[masked]…");
        for left in ["abcdefgh", "abcde…", "abcdefgh …", "漢字漢字漢…"] {
            assert!(matches!(values.out_of(left), Cow::Borrowed(_)), "{left}");
        }
    }

    #[test]
    fn much_of_a_long_one_is_taken_out_like_the_whole() {
        let long: String = (0..2_000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let values = hidden(&[&long, "another"]);
        assert_eq!(values.out_of(&format!("{}another", &long[..MUCH])), "[masked][masked]");
        let less = &long[..MUCH - 1];
        assert_eq!(values.out_of(&format!("{less} another")), format!("{less} [masked]"));
        // What begins at the end of it is found there.
        assert_eq!(values.out_of(&format!("{}{long}!", &long[..1_000])), "[masked][masked]!");
        let values = hidden(&[&long, &format!("{}another", &long[990..1_000])]);
        assert_eq!(values.out_of(&format!("{}another!", &long[..1_000])), "[masked]!");
    }

    /// As slow as it can be, and right.
    fn plainly(secrets: &[&str], text: &str) -> Vec<bool> {
        let mut found = vec![false; text.len()];
        for secret in secrets {
            for at in (0..text.len()).filter(|at| text[*at..].starts_with(secret)) {
                found[at..at + secret.len()].fill(true);
            }
        }
        found
    }

    #[test]
    fn every_one_is_found_in_texts_of_two_letters() {
        let mut state = 1_u32;
        let mut letters = |count: usize| -> String {
            let mut letter = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 31 == 0 { 'a' } else { 'b' }
            };
            (0..count).map(|_| letter()).collect()
        };
        for round in 0..500 {
            let secrets: Vec<String> = (0..5).map(|n| letters(LEAST + (round + n) % 7)).collect();
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let text = letters(80);
            let values = hidden(&secrets);
            let mut found = vec![false; text.len()];
            for range in values.0.as_ref().unwrap().found_in(&text) {
                found[range].fill(true);
            }
            let wanted = plainly(&secrets, &text);
            assert!((0..text.len()).all(|at| found[at] || !wanted[at]), "{secrets:?} in {text}");
            // What is more goes on from one that was found, along another.
            let more = (0..text.len()).filter(|at| found[*at] && !wanted[*at]);
            assert!(more.into_iter().all(|at| found[at - 1]), "{secrets:?} in {text}");
        }
    }

    /// 64 secrets of 10,000 characters, that differ at their ends alone or have a thousand lines, and texts that go along with
    /// them: a search from each place along each of them would take minutes.
    #[test]
    fn the_time_is_bounded_by_the_text() {
        let mark = "a… [log cut: 65536 bytes are kept]";
        let long: Vec<String> = (0..64).map(|n| format!("{}b{n}", "a".repeat(9_990 - n))).collect();
        let lines = (0..64).map(|n| (0..1_200).map(|line| format!("a{n:02}{line:04}\n")).collect());
        let lines: Vec<String> = lines.collect();
        for secrets in [long, lines] {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let values = hidden(&secrets);
            for _ in 0..1_000 {
                assert!(matches!(values.out_of(mark), Cow::Borrowed(_)));
            }
            let texts = ["a".repeat(65_536), mark.repeat(1_800), "a01a010".repeat(9_000), "aaaaaa… ".repeat(6_500)];
            for text in texts {
                let shown = values.out_of(&text);
                assert!(secrets.iter().all(|secret| !shown.contains(secret)));
            }
        }
    }
}
