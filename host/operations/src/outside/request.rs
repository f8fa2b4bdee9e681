//! A plugin's request, checked whole before anything of it is used.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::host::Host;

pub(super) const LONGEST_URL: usize = 8 << 10;
pub(super) const MOST_HEADERS: usize = 64;
pub(super) const HEADER_BYTES: usize = 16 << 10;

/// Those that change nothing where they go are repeated like any read; the others are effects.
const READS: [&str; 2] = ["GET", "HEAD"];
const CHANGES: [&str; 5] = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Headers that say how a request travels: the client's own business. Whoever set them could make two requests of one.
const OURS: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
    "user-agent",
];

/// A request that may be sent, if its host is approved.
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub host: Host,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Whether a request changes nothing where it goes, by its method.
pub(super) fn is_read(request: &Value) -> bool {
    request.get("method").and_then(Value::as_str).is_some_and(|method| READS.contains(&method))
}

impl Request {
    /// Reads the contract's request.
    ///
    /// # Errors
    /// What is wrong, beginning with the member; nothing of its value beyond names.
    pub fn read(request: &Value) -> Result<Request, String> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let method = method(text("method").unwrap_or_default())?;
        let (url, host) = url(text("url").unwrap_or_default())?;
        let headers = headers(request.get("headers"))?;
        let body = match text("body_base64") {
            Some(coded) => STANDARD.decode(coded).map_err(|_| "body: not in base64".to_owned())?,
            None => text("body").unwrap_or_default().as_bytes().to_vec(),
        };
        if !body.is_empty() && READS.contains(&method.as_str()) {
            return Err("body: GET and HEAD have none".to_owned());
        }
        Ok(Request { method, url, host, headers, body })
    }
}

/// Whether a text is the name of a method that can be sent.
pub(super) fn is_method(text: &str) -> bool {
    READS.iter().chain(&CHANGES).any(|known| *known == text)
}

fn method(text: &str) -> Result<Method, String> {
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| is_method(text));
    method.ok_or_else(|| format!("method: one of {}, {}, in capitals", READS.join(", "), CHANGES.join(", ")))
}

/// The URL as it is sent, and its host.
fn url(text: &str) -> Result<(Url, Host), String> {
    if text.len() > LONGEST_URL {
        return Err(format!("url: at most {LONGEST_URL} bytes"));
    }
    // The parser would take them away, or read a backslash as a slash: whoever writes them means to be misread.
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("url: no spaces, control characters and backslashes".to_owned());
    }
    let mut url = Url::parse(text).map_err(|_| "url: not a URL".to_owned())?;
    if url.scheme() != "https" {
        return Err("url: https:// is needed".to_owned());
    }
    // Also an empty one: the parser makes nothing of it, a reader might.
    let authority = text.split_once("//").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err("url: no user and no password".to_owned());
    }
    let host = Host::of_url(&url).map_err(|why| format!("url: its host {why}"))?;
    url.set_fragment(None);
    Ok((url, host))
}

/// A header in a message: its name, which is a token, unless it is longer than any that has a meaning.
fn told(name: &HeaderName) -> String {
    const LONGEST: usize = 40;
    if name.as_str().len() <= LONGEST { format!("`{name}`") } else { "a header".to_owned() }
}

fn headers(given: Option<&Value>) -> Result<HeaderMap, String> {
    let given = given.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if given.len() > MOST_HEADERS {
        return Err(format!("headers: at most {MOST_HEADERS}"));
    }
    let (mut headers, mut bytes) = (HeaderMap::new(), 0);
    for header in given {
        let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, value) = (text("name"), text("value"));
        bytes += name.len() + value.len();
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "headers: a name is no header's".to_owned())?;
        if OURS.contains(&known.as_str()) {
            return Err(format!("headers: `{known}` is set by the host"));
        }
        // The library would send UTF-8 as it is, which receivers read in several ways.
        let value = HeaderValue::from_str(value).ok().filter(|_| value.is_ascii());
        let value = value.ok_or_else(|| {
            format!("headers: the value of {} has others than visible ASCII characters", told(&known))
        })?;
        headers.append(known, value);
    }
    if bytes > HEADER_BYTES {
        return Err(format!("headers: at most {HEADER_BYTES} bytes"));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(request: Value) -> String {
        Request::read(&request).err().unwrap_or_else(|| panic!("taken: {request}"))
    }

    fn with_header(name: &str, value: &str) -> Value {
        json!({"method": "GET", "url": "https://a.example/", "headers": [{"name": name, "value": value}]})
    }

    #[test]
    fn a_request_is_read_as_it_was_meant() {
        let headers = json!([{"name": "Accept", "value": "a"}, {"name": "accept", "value": "b\t1"}]);
        let read =
            Request::read(&json!({"method": "PUT", "url": "https://A.example:443/p?q=1#part", "headers": headers,
            "body_base64": "/wA="}))
            .unwrap();
        assert_eq!((read.method.as_str(), read.url.as_str()), ("PUT", "https://a.example/p?q=1"));
        assert_eq!((read.host.grant().as_str(), read.body.as_slice()), ("http:a.example", &[0xff, 0x00][..]));
        let values: Vec<&str> = read.headers.get_all("accept").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(values, ["a", "b\t1"]);
        assert!(Request::read(&json!({"method": "HEAD", "url": "https://a.example"})).is_ok());
    }

    #[test]
    fn methods_are_a_list_and_decide_what_is_an_effect() {
        let of = |method: &str| json!({"method": method, "url": "https://a.example/"});
        for method in READS.iter().chain(&CHANGES) {
            assert_eq!(Request::read(&of(method)).unwrap().method.as_str(), *method);
            assert_eq!(is_read(&of(method)), READS.contains(method), "{method}");
        }
        for method in ["", "get", "CONNECT", "TRACE", "GET ", "GET\r\nX: y", "PROPFIND", "Post"] {
            assert!(refused(of(method)).starts_with("method: "), "{method}");
            assert!(!is_read(&of(method)), "{method}");
        }
        assert!(refused(json!({"method": "GET", "url": "https://a.example/", "body": "x"})).starts_with("body: "));
    }

    #[test]
    fn headers_that_say_how_a_request_travels_are_ours() {
        for name in OURS {
            for spelled in [name.to_owned(), name.to_uppercase()] {
                let told = refused(with_header(&spelled, "x"));
                assert_eq!(told, format!("headers: `{name}` is set by the host"));
            }
        }
        for name in ["authorization", "x-api-key", "content-type", "accept-encoding", "cookie", "idempotency-key"] {
            assert!(Request::read(&with_header(name, "x")).is_ok(), "{name}");
        }
    }

    #[test]
    fn nothing_is_smuggled_in_a_header() {
        for (name, value) in [
            ("x\r\nhost", "b.example"),
            ("x: y\r\nz", ""),
            ("", "x"),
            ("x y", "z"),
            ("x:", "z"),
            ("x", "a\r\nHost: b.example"),
            ("x", "a\nb"),
            ("x", "a\0b"),
            ("x", "重量"),
            ("重", "a"),
        ] {
            assert!(refused(with_header(name, value)).starts_with("headers: "), "{name:?} {value:?}");
        }
        let many: Vec<Value> = (0..=MOST_HEADERS).map(|_| json!({"name": "x", "value": "y"})).collect();
        assert!(refused(json!({"method": "GET", "url": "https://a.example/", "headers": many})).contains("64"));
        assert!(refused(with_header("x", &"y".repeat(HEADER_BYTES))).contains("16384 bytes"));
    }

    #[test]
    fn a_message_names_a_header_that_has_a_meaning_and_no_other() {
        let long = "x-CANARY".repeat(6);
        assert_eq!(refused(with_header("X-Key", "重")).split(" has").next(), Some("headers: the value of `x-key`"));
        assert_eq!(refused(with_header(&long, "重")).split(" has").next(), Some("headers: the value of a header"));
    }

    #[test]
    fn a_url_is_bounded_and_says_nothing_of_itself_when_it_is_refused() {
        let long = format!("https://a.example/{}", "CANARY".repeat(2_000));
        for url in [long.as_str(), "ftp://CANARY.example", "https://CANARY:x@a.example", "CANARY"] {
            let told = refused(json!({"method": "GET", "url": url}));
            assert!(told.starts_with("url: ") && !told.contains("CANARY"), "{told}");
        }
    }
}
