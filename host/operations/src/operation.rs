//! What the table says about one operation.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::evidence::{Evidence, Proof, Verdict};

/// One approved call to the platform.
pub struct Operation {
    /// The contract's interface, which is also the name of the grant: `notes`.
    pub interface: &'static str,
    /// The contract's function: `set-merchant-notes`.
    pub function: &'static str,
    /// The platform's name: `changemerchantnotes`.
    pub name: &'static str,
    /// The path on the platform's host; always POST.
    pub path: &'static str,
    /// Whether it changes something outside.
    pub effect: bool,
    /// What to do with an intent that has no outcome (DESIGN section 6).
    pub repeat: Repeat,
    /// The platform's permission set that the shop must have granted.
    pub permission_set: u16,
    /// How delicate its request and answer are.
    pub sensitivity: Sensitivity,
    /// Values of the `type` of ext_info_update that this effect causes and that tell its causer nothing new.
    pub raises: &'static [i64],
    /// Values of `type` that bring somebody else's answer to this effect: news, even to its causer.
    pub answered_by: &'static [i64],
    /// Events other than ext_info_update that this effect causes.
    pub raises_events: &'static [&'static str],
    /// The parameter that names the order, or "" if none does.
    pub order_member: &'static str,
    /// Limits of the platform, in words.
    pub limits: &'static str,
    /// Members that pages may show; "" is the answer itself, where it is no object.
    pub(crate) shown: &'static [&'static str],
    pub(crate) request: fn(&Value) -> Result<Value, String>,
    pub(crate) response: fn(Value) -> Result<Value, String>,
    pub(crate) proof: Proof,
    pub(crate) verdict: fn(&Evidence<'_>) -> Verdict,
}

/// What may happen to an effect whose outcome a crash took away; a read is simply done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// No effect.
    Read,
    /// Doing it again with the same value is harmless, unless somebody changed it since.
    Resend,
    /// Look whether it shows; if not, send once more.
    Verify,
    /// Nobody can tell: the plugin or a person decides.
    Unknown,
}

/// How delicate data is; decides what pages show and how the console words the consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sensitivity {
    /// Neither money nor people.
    Plain,
    /// Prices, payments, commissions.
    Money,
    /// Names, addresses, phones, openids, free text of people.
    Personal,
    /// Data may leave the host to places it does not know.
    Outside,
}

impl Sensitivity {
    /// Its name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Sensitivity::Plain => "plain",
            Sensitivity::Money => "money",
            Sensitivity::Personal => "personal",
            Sensitivity::Outside => "outside",
        }
    }
}

impl Operation {
    /// The platform's body for a request of the contract. The error names the member that is wrong.
    pub fn body(&self, request: &Value) -> Result<Value, String> {
        (self.request)(request)
    }

    /// The contract's answer for an answer of the platform whose `errcode` was 0.
    pub fn answer(&self, platform: Value) -> Result<Value, String> {
        (self.response)(platform)
    }

    /// Whether an effect without an outcome was applied, by what can be seen now. Pure.
    pub fn judge(&self, evidence: &Evidence<'_>) -> Verdict {
        (self.verdict)(evidence)
    }

    /// Whether its answer is buyer data in clear, of which the platform gives little: kept, shared and counted.
    pub fn decodes(&self) -> bool {
        self.interface == "decode"
    }

    /// The order that a request is about.
    pub fn order_of<'a>(&self, request: &'a Value) -> Option<&'a str> {
        request.get(self.order_member)?.as_str()
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} ({})", self.interface, self.function, self.name)
    }
}

impl PartialEq for Operation {
    fn eq(&self, other: &Operation) -> bool {
        self.interface == other.interface && self.function == other.function
    }
}
impl Eq for Operation {}
