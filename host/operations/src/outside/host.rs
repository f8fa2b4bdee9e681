//! Names of outside hosts, as they are declared, approved and compared: one spelling each.

use reqwest::Url;

/// The custom section in which a plugin declares the hosts that it sends to: one a line.
pub const HOSTS_SECTION: &str = "fangshi:http-hosts";

/// Hosts that a plugin may declare, and that an installation may be granted.
pub const MOST_HOSTS: usize = 32;

/// The beginning of the grant's name.
pub(super) const GRANT: &str = "http:";
/// The port of HTTPS, which is left out of names.
const HTTPS: u16 = 443;
/// As in the domain name system.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host with its port, in the one spelling that grants have: `erp.example.com`, `erp.example.com:8443`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    pub name: String,
    pub port: u16,
}

impl Host {
    /// Reads a host as a person or a plugin writes it: `HOST` or `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong with it, in words that fit behind the text.
    pub fn parse(text: &str) -> Result<Host, &'static str> {
        let text = text.trim();
        if text.contains('*') {
            return Err("is a wildcard: name each host");
        }
        // What ends a host in a URL, and what names something beside it.
        if text.is_empty()
            || text.contains(['/', '\\', '?', '#', '@', '%', '[', ']'])
            || text.contains(char::is_whitespace)
        {
            return Err("is no host: write `HOST` or `HOST:PORT`, such as `erp.example.com`");
        }
        // Every `:` is behind the name: addresses of version 6 stand in brackets, and are none.
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| "is no host's name")?;
        Host::of_url(&url)
    }

    /// The host of a URL, whatever was written there: the parser has made it lower case and ASCII, and has read
    /// addresses in every spelling that there is.
    pub fn of_url(url: &Url) -> Result<Host, &'static str> {
        let Some(name) = url.domain() else { return Err("is an address: name the host") };
        check_name(name)?;
        match url.port_or_known_default() {
            None | Some(0) => Err("has no port that can be connected to"),
            Some(port) => Ok(Host { name: name.to_owned(), port }),
        }
    }

    /// The grant's name.
    pub fn grant(&self) -> String {
        format!("{GRANT}{self}")
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.port == HTTPS { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.ends_with('.') {
        return Err("ends with a dot: leave it out");
    }
    let right = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > LONGEST_NAME || !name.split('.').all(right) {
        return Err("is no host's name");
    }
    let Some((_, last)) = name.rsplit_once('.') else {
        return Err("has one part alone: name the host in full, such as `erp.example.com`");
    };
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is an address: name the host");
    }
    Ok(())
}

/// The host of a grant `http:HOST` in the spelling that grants have, or why there is none; `None` for another grant.
///
/// # Errors
/// A sentence about the grant.
pub fn host_of(grant: &str) -> Option<Result<String, String>> {
    let host = grant.strip_prefix(GRANT)?;
    Some(Host::parse(host).map(|host| host.to_string()).map_err(|why| format!("`{}` {why}", short(host))))
}

/// The grants of the hosts that a plugin declares in its sections [`HOSTS_SECTION`], in order and each once.
///
/// # Errors
/// A sentence that names the line.
pub fn hosts_asked(sections: &[&[u8]]) -> Result<Vec<String>, String> {
    /// A line with the longest name and a port.
    const LONGEST: usize = MOST_HOSTS * (LONGEST_NAME + 16);
    if sections.iter().map(|section| section.len()).sum::<usize>() > LONGEST {
        return Err(format!("the section has more than {LONGEST} bytes"));
    }
    let mut hosts = std::collections::BTreeSet::new();
    for section in sections {
        let text = std::str::from_utf8(section).map_err(|_| "the section is no text in UTF-8".to_owned())?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            hosts.insert(Host::parse(line).map_err(|why| format!("`{}` {why}", short(line)))?);
        }
    }
    if hosts.len() > MOST_HOSTS {
        return Err(format!("{} hosts are declared; {MOST_HOSTS} are allowed", hosts.len()));
    }
    Ok(hosts.iter().map(Host::grant).collect())
}

/// A text that was to be a host, for a message: nothing in it can be taken for the message's own.
fn short(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || ".-_:*/@[]%".contains(c) { c } else { '?' };
    text.chars().take(80).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        for (text, spelled) in [
            ("erp.example.com", "erp.example.com"),
            (" ERP.Example.COM ", "erp.example.com"),
            ("erp.example.com:443", "erp.example.com"),
            ("erp.example.com:8443", "erp.example.com:8443"),
            ("erp.example.com:08443", "erp.example.com:8443"),
            ("ｅｒｐ．example。com", "erp.example.com"),
            ("例子.测试", "xn--fsqu00a.xn--0zwm56d"),
            ("1.example.com", "1.example.com"),
            ("a-b.example", "a-b.example"),
        ] {
            let host = Host::parse(text).unwrap_or_else(|why| panic!("{text} {why}"));
            assert_eq!(host.to_string(), spelled, "{text}");
            assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()), "spelled once, it stays so");
            assert_eq!(host_of(&host.grant()), Some(Ok(host.to_string())));
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "no host"),
            ("*.example.com", "wildcard"),
            ("*", "wildcard"),
            ("localhost", "one part"),
            ("erp", "one part"),
            ("127.0.0.1", "an address"),
            ("0x7f.1", "an address"),
            ("2130706433", "an address"),
            ("１２７.0.0.1", "an address"),
            ("[::1]", "no host"),
            ("::1", "no host's name"),
            ("a.example.", "with a dot"),
            ("a..example", "no host's name"),
            ("-a.example", "no host's name"),
            ("a-.example", "no host's name"),
            ("a_b.example", "no host's name"),
            ("a.example/path", "no host"),
            ("a.example@b.example", "no host"),
            ("https://a.example", "no host"),
            ("a.example:0", "no port"),
            ("a.example:65536", "no host's name"),
            ("a.example:x", "no host's name"),
            ("a%2eexample", "no host"),
            ("a b.example", "no host"),
            ("a\u{0}.example", "no host's name"),
        ] {
            let refused = Host::parse(text).expect_err(text);
            assert!(refused.contains(why), "{text:?} {refused}");
        }
        assert!(Host::parse(&format!("{}.example", "a".repeat(64))).is_err());
        assert!(Host::parse(&format!("{}example", "a.".repeat(130))).is_err());
    }

    #[test]
    fn declared_hosts_are_lines_of_sections() {
        let asked = hosts_asked(&[b"erp.example.com\n\n  B.example:8443 \r\n", b"erp.example.com"]).unwrap();
        assert_eq!(asked, ["http:b.example:8443", "http:erp.example.com"]);
        assert_eq!(hosts_asked(&[]), Ok(vec![]));
        assert!(hosts_asked(&[b"a.example\nlocalhost\n"]).unwrap_err().starts_with("`localhost` has one part"));
        assert!(hosts_asked(&[b"\xff"]).is_err());
        let spoof = hosts_asked(&["a` is \u{202e}right".as_bytes()]).unwrap_err();
        assert!(spoof.starts_with("`a??is??right` "), "{spoof}");
        let many: String = (0..=MOST_HOSTS).map(|number| format!("h{number}.example\n")).collect();
        assert!(hosts_asked(&[many.as_bytes()]).unwrap_err().contains("33 hosts"));
        assert!(hosts_asked(&[&[b'\n'; 1 << 20]]).unwrap_err().contains("bytes"));
        assert_eq!(host_of("notes"), None);
    }
}
