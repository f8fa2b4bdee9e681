//! Addresses that secrets may be sent to: the config is checked by the rule that the client keeps.

use std::net::IpAddr;

use reqwest::Url;

/// Whether this is scheme and host alone: https with any host, or http with this machine.
pub fn is_base(text: &str) -> bool {
    base(text).is_some()
}

pub(crate) fn base(text: &str) -> Option<Url> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    // What the parser would mend or leave out is a slip, or a password.
    if host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '@' | '\\')) {
        return None;
    }
    Url::parse(text).ok().filter(|url| url.scheme() == "https" || is_here(url))
}

/// Whether an address is this machine's.
pub(crate) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_base;

    #[test]
    fn https_goes_anywhere_and_http_to_this_machine() {
        for good in [
            "https://api.weixin.qq.com",
            "https://api.weixin.qq.com/",
            "https://api.weixin.qq.com:8443",
            "http://127.0.0.1:4000",
            "http://127.0.0.2:4000",
            "http://[::1]:4000",
            "http://localhost",
        ] {
            assert!(is_base(good), "{good}");
        }
        for bad in [
            "",
            "api.weixin.qq.com",
            "https://",
            "https://x:99999",
            "https://x:port",
            "https://x/path",
            "https://x//",
            "https://x?y=1",
            "https://x#y",
            "https://user:password@x",
            "https://@x",
            "https:\\\\x",
            "https://x\ty",
            "http://api.weixin.qq.com",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://[::1",
            "ftp://127.0.0.1",
        ] {
            assert!(!is_base(bad), "{bad}");
        }
    }
}
