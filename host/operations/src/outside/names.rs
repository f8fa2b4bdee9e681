//! Names of hosts as an operator writes them in the config: one, or all under one.

use super::host::Host;

/// `erp.example.com` is that name alone; `.corp.example.com` is that name and every name under it. Any port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Names {
    One(String),
    Under(String),
}

impl Names {
    /// Reads one, in whatever spelling it was written.
    ///
    /// # Errors
    /// What is wrong with it, in words that fit behind the text.
    pub fn parse(text: &str) -> Result<Names, &'static str> {
        let text = text.trim();
        if text.contains(':') {
            return Err("has a port: leave it out, every port of a name is meant");
        }
        match text.strip_prefix('.') {
            None => Host::parse(text).map(|host| Names::One(host.name)),
            Some(rest) => {
                // The end of a name may have one part alone (`.internal`): a host's name may not.
                let host = Host::parse(&format!("x.{rest}"))?;
                Ok(Names::Under(host.name.strip_prefix("x.").unwrap_or(&host.name).to_owned()))
            }
        }
    }

    /// Whether a name, in the spelling that grants have, is meant.
    pub fn cover(&self, name: &str) -> bool {
        match self {
            Names::One(one) => one == name,
            Names::Under(end) => {
                name.strip_suffix(end.as_str()).is_some_and(|head| head.is_empty() || head.ends_with('.'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_and_an_end_is_all_under_it() {
        let one = Names::parse(" ERP.Example.com ").unwrap();
        let end = Names::parse(".Corp.例子").unwrap();
        for (name, of_one, of_end) in [
            ("erp.example.com", true, false),
            ("x.erp.example.com", false, false),
            ("erp.example.com.evil.example", false, false),
            ("corp.xn--fsqu00a", false, true),
            ("a.b.corp.xn--fsqu00a", false, true),
            ("notcorp.xn--fsqu00a", false, false),
        ] {
            assert_eq!((one.cover(name), end.cover(name)), (of_one, of_end), "{name}");
        }
        assert!(Names::parse(".internal").unwrap().cover("metadata.google.internal"));
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for wrong in [
            "",
            ".",
            "..a.example",
            "erp",
            "*.example.com",
            "10.0.0.1",
            ".10.0.0.1",
            "a.example:443",
            "a.example/",
            "a b",
        ] {
            assert!(Names::parse(wrong).is_err(), "{wrong}");
        }
    }
}
