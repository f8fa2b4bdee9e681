//! The query of a callback (platform page 1.2 and 1.4): a few known parameters, each at most once, borrowed from the
//! request line wherever nothing is percent-encoded.

use std::borrow::Cow;

/// Beyond this a query is no callback; the longest real one has about 250 bytes.
const LONGEST: usize = 4096;

/// The parameters that a callback may carry. All others (`openid`) are ignored.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// SHA-1 of token, timestamp and nonce. It covers no body, so a POST never looks at it.
    pub signature: Option<Cow<'a, str>>,
    /// Unix seconds, as text: the signature is over the text.
    pub timestamp: Option<Cow<'a, str>>,
    /// A number chosen by the platform.
    pub nonce: Option<Cow<'a, str>>,
    /// SHA-1 of token, timestamp, nonce and ciphertext.
    pub msg_signature: Option<Cow<'a, str>>,
    /// What a GET check wants back, unchanged.
    pub echostr: Option<Cow<'a, str>>,
    /// `aes`.
    pub encrypt_type: Option<Cow<'a, str>>,
}

/// What is wrong with a query. The text is for the caller and repeats nothing of what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// More than 4096 bytes.
    #[error("the query is longer than 4096 bytes")]
    TooLong,
    /// A `%` without two hex digits, or bytes that are no UTF-8.
    #[error("the query is not percent-encoded UTF-8")]
    Encoding,
    /// One of the known parameters came twice.
    #[error("the parameter {0} comes twice")]
    Twice(&'static str),
    /// A parameter that is needed is absent or empty.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// `timestamp` is not a number of seconds in plain digits.
    #[error("timestamp is not unix seconds in plain digits")]
    Timestamp,
    /// `encrypt_type` is there and is not `aes`.
    #[error("encrypt_type must be aes: set the push mode to safe mode")]
    Mode,
}

/// The query of a pushed message, complete.
#[derive(Debug, PartialEq, Eq)]
pub struct PushQuery<'a> {
    /// As it came: the signature is over this text.
    pub timestamp: Cow<'a, str>,
    /// The same as a number, unix seconds.
    pub seconds: i64,
    /// As it came.
    pub nonce: Cow<'a, str>,
    /// To be compared in constant time.
    pub msg_signature: Cow<'a, str>,
}

/// The query of a GET check, complete.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckQuery<'a> {
    /// As it came.
    pub timestamp: Cow<'a, str>,
    /// As it came.
    pub nonce: Cow<'a, str>,
    /// To be compared in constant time.
    pub signature: Cow<'a, str>,
    /// To be answered unchanged.
    pub echostr: Cow<'a, str>,
}

impl<'a> Query<'a> {
    /// Reads the text after the question mark.
    pub fn parse(text: &'a str) -> Result<Self, QueryError> {
        if text.len() > LONGEST {
            return Err(QueryError::TooLong);
        }
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (slot, known) = match decoded(name)?.as_ref() {
                "signature" => (&mut query.signature, "signature"),
                "timestamp" => (&mut query.timestamp, "timestamp"),
                "nonce" => (&mut query.nonce, "nonce"),
                "msg_signature" => (&mut query.msg_signature, "msg_signature"),
                "echostr" => (&mut query.echostr, "echostr"),
                "encrypt_type" => (&mut query.encrypt_type, "encrypt_type"),
                _ => continue,
            };
            // The first or the last of two? Two readers may differ, so neither.
            if slot.replace(decoded(value)?).is_some() {
                return Err(QueryError::Twice(known));
            }
        }
        Ok(query)
    }

    /// What a POST needs.
    pub fn into_push(self) -> Result<PushQuery<'a>, QueryError> {
        if self.encrypt_type.is_some_and(|mode| mode != "aes") {
            return Err(QueryError::Mode);
        }
        let timestamp = present(self.timestamp, "timestamp")?;
        let seconds = plain_seconds(&timestamp).ok_or(QueryError::Timestamp)?;
        let nonce = present(self.nonce, "nonce")?;
        let msg_signature = present(self.msg_signature, "msg_signature")?;
        Ok(PushQuery { timestamp, seconds, nonce, msg_signature })
    }

    /// What a GET check needs.
    pub fn into_check(self) -> Result<CheckQuery<'a>, QueryError> {
        let timestamp = present(self.timestamp, "timestamp")?;
        plain_seconds(&timestamp).ok_or(QueryError::Timestamp)?;
        let nonce = present(self.nonce, "nonce")?;
        let signature = present(self.signature, "signature")?;
        let echostr = present(self.echostr, "echostr")?;
        Ok(CheckQuery { timestamp, nonce, signature, echostr })
    }
}

fn present<'a>(value: Option<Cow<'a, str>>, name: &'static str) -> Result<Cow<'a, str>, QueryError> {
    value.filter(|text| !text.is_empty()).ok_or(QueryError::Missing(name))
}

fn plain_seconds(text: &str) -> Option<i64> {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Percent-decoding; `+` is a space, as in every query of a form.
fn decoded(text: &str) -> Result<Cow<'_, str>, QueryError> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            other => other,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| QueryError::Encoding)
}

fn hex_digit(byte: Option<u8>) -> Result<u8, QueryError> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(letter @ b'a'..=b'f') => Ok(letter - b'a' + 10),
        Some(letter @ b'A'..=b'F') => Ok(letter - b'A' + 10),
        _ => Err(QueryError::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_query_is_borrowed_whole() {
        let text =
            "signature=6c5c&timestamp=1714112445&nonce=415670741&openid=o9-b&encrypt_type=aes&msg_signature=046e";
        let push = Query::parse(text).unwrap().into_push().unwrap();
        assert_eq!(push.seconds, 1714112445);
        assert!(matches!(push.nonce, Cow::Borrowed("415670741")));
        assert!(matches!(push.msg_signature, Cow::Borrowed("046e")));
    }

    #[test]
    fn percent_encoding_and_its_faults() {
        let check = |text: &str| Query::parse(text).map(|query| query.echostr.unwrap_or_default().into_owned());
        assert_eq!(check("echostr=%E4%BD%A0+a%2Bb"), Ok("你 a+b".to_owned()));
        assert_eq!(check("ech%6fstr=1"), Ok("1".to_owned()));
        for bad in ["echostr=%", "echostr=%4", "echostr=%zz", "echostr=%ff", "%f=1", "echostr=%é"] {
            assert_eq!(check(bad), Err(QueryError::Encoding), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_double_or_no_number_is_named() {
        let push = |text: &str| Query::parse(text).and_then(Query::into_push).map(|push| push.seconds);
        assert_eq!(push("timestamp=1&nonce=2&msg_signature=3"), Ok(1));
        assert_eq!(push("timestamp=1&nonce=2"), Err(QueryError::Missing("msg_signature")));
        assert_eq!(push("timestamp=1&nonce=&msg_signature=3"), Err(QueryError::Missing("nonce")));
        assert_eq!(push("timestamp=1&timestamp=1&nonce=2&msg_signature=3"), Err(QueryError::Twice("timestamp")));
        assert_eq!(push("timestamp=1&nonce=2&msg_signature=3&encrypt_type=raw"), Err(QueryError::Mode));
        for bad in ["-1", "+1", "1.0", "1e9", "%201", "9223372036854775808", "１"] {
            assert_eq!(push(&format!("timestamp={bad}&nonce=2&msg_signature=3")), Err(QueryError::Timestamp), "{bad}");
        }
        assert_eq!(push(&"x".repeat(4097)), Err(QueryError::TooLong));
    }
}
