//! `[http]`: how outside hosts are reached that merchants approved.

use fangshi_operations::{DeniedHosts, ExtraRoots, InnerAddresses, OutsideConfig};

use super::keys;
use super::reader::{Found, Reader};

/// Wrong values are told of even where it is switched off: they would be missed on the day it is not.
pub(super) fn read(reader: &mut Reader<'_>) -> OutsideConfig {
    OutsideConfig {
        enabled: read_state(reader),
        inner: read_hosts(reader, &keys::HTTP_INNER_ADDRESSES, InnerAddresses::new),
        denied: read_hosts(reader, &keys::HTTP_DENY_HOSTS, DeniedHosts::new),
        extra_roots: read_roots(reader),
        ..OutsideConfig::default()
    }
}

fn read_state(reader: &mut Reader<'_>) -> bool {
    match reader.text(&keys::HTTP_STATE) {
        None => true,
        Some(Found { value, .. }) if value == "on" => true,
        Some(Found { value, .. }) if value == "off" => false,
        Some(Found { value, line }) => {
            reader.wrong(&keys::HTTP_STATE, line, &format!("\"{value}\""));
            false
        }
    }
}

/// What a list of hosts says, or the place of the entry that is wrong and why.
type Hosts<T> = Result<T, (usize, String)>;

/// A list whose entries say what is wrong with them themselves.
fn read_hosts<T: Default>(reader: &mut Reader<'_>, key: &keys::Key, of: fn(&[String]) -> Hosts<T>) -> T {
    let Some(Found { value, line }) = reader.texts(key) else { return T::default() };
    of(&value).unwrap_or_else(|(at, why)| {
        let shown = value.get(at).map(String::as_str).unwrap_or_default();
        reader.wrong(key, line, &format!("\"{shown}\", {why}"));
        T::default()
    })
}

fn read_roots(reader: &mut Reader<'_>) -> ExtraRoots {
    let Some(file) = reader.path(&keys::HTTP_EXTRA_ROOTS_FILE) else { return ExtraRoots::default() };
    let read = std::fs::read(&file).map_err(|error| error.to_string()).and_then(|pem| ExtraRoots::from_pem(&pem));
    read.unwrap_or_else(|error| {
        reader.wrong(&keys::HTTP_EXTRA_ROOTS_FILE, None, &format!("{}: {error}", file.display()));
        ExtraRoots::default()
    })
}
