//! Grants on a command line.

use std::collections::BTreeSet;

use anyhow::bail;

/// Grants in the one spelling that requests are held against, as the admin API keeps them.
pub fn spelled(given: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let given = given.iter().map(|grant| grant.trim()).filter(|grant| !grant.is_empty());
    given
        .map(|grant| match fangshi_operations::host_of(grant) {
            None => Ok(grant.to_owned()),
            Some(Ok(host)) => Ok(format!("http:{host}")),
            Some(Err(why)) => bail!("grant http:HOST: {why}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_in_the_spelling_that_requests_are_held_against() {
        let given = ["notes", " http:ERP.Example.com:443 ", "http:例子.测试:8443", "http:erp.example.com", ""];
        let read = spelled(&given.map(str::to_owned)).unwrap();
        let expected = ["http:erp.example.com", "http:xn--fsqu00a.xn--0zwm56d:8443", "notes"];
        assert_eq!(read.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        for (wrong, told) in
            [("http:erp.example.com.", "a dot"), ("http:127.0.0.1", "an address"), ("http:", "no host")]
        {
            let refused = spelled(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(refused.contains(told), "{wrong}: {refused}");
        }
    }
}
