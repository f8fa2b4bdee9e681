//! Tickets, tokens and refresh tokens: issued, expired, replaced, revoked (platform page 2).

use std::collections::HashMap;

use crate::dice::Dice;
use crate::refusal::Refusal;

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Component,
    /// An authorized shop, by its appid.
    Authorizer(String),
    /// A self-built shop, by its appid.
    SelfBuilt(String),
}

impl Holder {
    pub(crate) fn appid(&self) -> Option<&str> {
        match self {
            Holder::Component => None,
            Holder::Authorizer(appid) | Holder::SelfBuilt(appid) => Some(appid),
        }
    }
}

#[derive(Clone, Debug)]
struct Token {
    id: String,
    holder: Holder,
    expires_ms: i64,
    /// Since when it is replaced by a newer one (overlap included).
    replaced_ms: Option<i64>,
    /// The user changed the password: 42007.
    void: bool,
}

#[derive(Clone, Debug)]
struct Refresh {
    id: String,
    appid: String,
    live: bool,
}

/// An access token just issued, with the refresh token that goes with it.
#[derive(Clone)]
pub struct IssuedTokens {
    /// Name of the access token in the ledger.
    pub access_id: String,
    /// Seconds.
    pub expires_in: i64,
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
}

impl std::fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTokens").field("access_id", &self.access_id).finish_non_exhaustive()
    }
}

impl IssuedTokens {
    /// The access token.
    pub fn access(&self) -> &str {
        &self.access
    }

    /// The refresh token, for authorized shops.
    pub fn refresh(&self) -> Option<&str> {
        self.refresh.as_deref()
    }
}

/// What a valid token opens.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub id: String,
    pub holder: Holder,
}

#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_value: HashMap<String, Token>,
    /// The newest access token of each holder ("" is the component).
    current: HashMap<String, String>,
    refreshes: HashMap<String, Refresh>,
    current_refresh: HashMap<String, String>,
    /// Tickets with the platform's ms at which they end.
    tickets: Vec<(String, i64)>,
    /// Pre-auth codes with their end.
    pre_auth: HashMap<String, i64>,
    /// Authorization codes with shop and end.
    codes: HashMap<String, (String, i64)>,
    made: u64,
    /// Every secret that was ever given out, used up or not.
    given_out: Vec<String>,
}

impl Tokens {
    /// Every access, refresh and component token, ticket, pre-auth code and authorization code so far.
    pub(crate) fn given_out(&self) -> &[String] {
        &self.given_out
    }

    fn give_out(&mut self, value: String) -> String {
        self.given_out.push(value.clone());
        value
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Issues an access token; the one before is good for `overlap_s` more.
    pub(crate) fn issue(
        &mut self,
        dice: &mut Dice,
        holder: Holder,
        life_s: i64,
        overlap_s: i64,
        now_ms: i64,
    ) -> (String, String) {
        let key = holder.appid().unwrap_or("").to_owned();
        let kind = match holder {
            Holder::Component => "component",
            Holder::Authorizer(_) => "access",
            Holder::SelfBuilt(_) => "stable",
        };
        let id = format!("{kind}-{}", self.number());
        let value = self.give_out(format!("{}_{}", dice.digits(2), dice.letters(110)));
        if let Some(old) = self.current.insert(key, value.clone()).and_then(|old| self.by_value.get_mut(&old)) {
            old.replaced_ms = Some(now_ms + overlap_s * 1000);
        }
        let token =
            Token { id: id.clone(), holder, expires_ms: now_ms + life_s * 1000, replaced_ms: None, void: false };
        self.by_value.insert(value.clone(), token);
        (id, value)
    }

    /// The newest access token of a holder with its id and the seconds that it lives on, if it does.
    pub(crate) fn newest(&self, appid: &str, now_ms: i64) -> Option<(String, String, i64)> {
        let value = self.current.get(appid)?;
        let token = self.by_value.get(value).filter(|t| !t.void && t.expires_ms > now_ms)?;
        Some((token.id.clone(), value.clone(), (token.expires_ms - now_ms) / 1000))
    }

    /// Who speaks with this token; the name is given even if it is refused, for the ledger.
    pub(crate) fn judge(&self, value: &str, now_ms: i64) -> (Option<Bearer>, Result<(), Refusal>) {
        if value.is_empty() {
            return (None, Err(Refusal::new(41001, "access_token missing")));
        }
        let Some(token) = self.by_value.get(value) else {
            return (None, Err(Refusal::new(40014, "invalid access_token")));
        };
        let verdict = if token.void {
            Err(Refusal::new(42007, "access_token and refresh_token expired because of a changed password"))
        } else if token.replaced_ms.is_some_and(|ms| now_ms >= ms) {
            Err(Refusal::new(40001, "invalid credential, access_token is invalid or not latest"))
        } else if now_ms >= token.expires_ms {
            Err(Refusal::new(42001, "access_token expired"))
        } else {
            Ok(())
        };
        (Some(Bearer { id: token.id.clone(), holder: token.holder.clone() }), verdict)
    }

    /// Ends all access tokens of a holder ("" is the component) now.
    pub(crate) fn expire(&mut self, appid: &str, now_ms: i64) -> usize {
        let mut ended = 0;
        for token in self.by_value.values_mut() {
            if token.holder.appid().unwrap_or("") == appid && token.expires_ms > now_ms {
                token.expires_ms = now_ms;
                ended += 1;
            }
        }
        ended
    }

    /// The user changed the password: all tokens of the shop are void.
    pub(crate) fn void(&mut self, appid: &str) {
        for token in self.by_value.values_mut().filter(|t| t.holder.appid() == Some(appid)) {
            token.void = true;
        }
        self.drop_refreshes(appid);
    }

    /// A new refresh token of a shop; the old ones die with a new authorization.
    pub(crate) fn new_refresh(&mut self, dice: &mut Dice, appid: &str, kill_old: bool) -> String {
        if kill_old {
            self.drop_refreshes(appid);
        }
        let id = format!("refresh-{}", self.number());
        let value = self.give_out(format!("refreshtoken@@@{}", dice.letters(43)));
        self.refreshes.insert(value.clone(), Refresh { id, appid: appid.to_owned(), live: true });
        self.current_refresh.insert(appid.to_owned(), value.clone());
        value
    }

    pub(crate) fn drop_refreshes(&mut self, appid: &str) {
        for refresh in self.refreshes.values_mut().filter(|r| r.appid == appid) {
            refresh.live = false;
        }
        self.current_refresh.remove(appid);
    }

    pub(crate) fn current_refresh(&self, appid: &str) -> Option<String> {
        self.current_refresh.get(appid).cloned()
    }

    /// Name of a refresh token if it is this shop's and alive, else 61023.
    pub(crate) fn check_refresh(&self, appid: &str, value: &str) -> Result<String, Refusal> {
        self.refreshes
            .get(value)
            .filter(|r| r.live && r.appid == appid)
            .map(|r| r.id.clone())
            .ok_or_else(|| Refusal::new(61023, "refresh_token is invalid"))
    }

    pub(crate) fn new_ticket(&mut self, dice: &mut Dice, life_s: i64, now_ms: i64) -> String {
        let value = self.give_out(format!("ticket@@@{}", dice.letters(64)));
        self.tickets.push((value.clone(), now_ms + life_s * 1000));
        value
    }

    /// 61006 for a ticket that was never pushed, 61005 for one that is over.
    pub(crate) fn check_ticket(&self, value: &str, now_ms: i64) -> Result<(), Refusal> {
        let (_, end) = self
            .tickets
            .iter()
            .find(|(ticket, _)| ticket == value)
            .ok_or_else(|| Refusal::new(61006, "component ticket is invalid"))?;
        if now_ms >= *end { Err(Refusal::new(61005, "component ticket is expired")) } else { Ok(()) }
    }

    pub(crate) fn new_pre_auth_code(&mut self, dice: &mut Dice, life_s: i64, now_ms: i64) -> String {
        let value = self.give_out(format!("preauthcode@@@{}", dice.letters(43)));
        self.pre_auth.insert(value.clone(), now_ms + life_s * 1000);
        value
    }

    pub(crate) fn knows_pre_auth_code(&self, value: &str, now_ms: i64) -> bool {
        self.pre_auth.get(value).is_some_and(|end| now_ms < *end)
    }

    pub(crate) fn new_authorization_code(&mut self, dice: &mut Dice, appid: &str, life_s: i64, now_ms: i64) -> String {
        let value = self.give_out(format!("queryauthcode@@@{}", dice.letters(43)));
        self.codes.insert(value.clone(), (appid.to_owned(), now_ms + life_s * 1000));
        value
    }

    /// The shop of an authorization code, which is used up; 61009 if it is not good.
    pub(crate) fn use_authorization_code(&mut self, value: &str, now_ms: i64) -> Result<String, Refusal> {
        match self.codes.remove(value) {
            Some((appid, end)) if now_ms < end => Ok(appid),
            _ => Err(Refusal::new(61009, "code is invalid")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(tokens: &Tokens, value: &str, now_ms: i64) -> i64 {
        tokens.judge(value, now_ms).1.map_or_else(|r| r.code, |()| 0)
    }

    #[test]
    fn a_token_lives_is_replaced_and_expires() {
        let (mut tokens, mut dice) = (Tokens::default(), Dice::new(1));
        let shop = || Holder::Authorizer("wx1".to_owned());
        let (_, first) = tokens.issue(&mut dice, shop(), 7200, 0, 0);
        assert_eq!(code(&tokens, &first, 7_199_999), 0);
        assert_eq!(code(&tokens, &first, 7_200_000), 42001);
        let (_, second) = tokens.issue(&mut dice, shop(), 7200, 10, 1000);
        assert_eq!(code(&tokens, &first, 10_999), 0);
        assert_eq!(code(&tokens, &first, 11_000), 40001);
        assert_eq!(code(&tokens, &second, 11_000), 0);
        assert_eq!(code(&tokens, "nonsense", 0), 40014);
        assert_eq!(code(&tokens, "", 0), 41001);
        assert_eq!(tokens.expire("wx1", 12_000), 2);
        assert_eq!(code(&tokens, &second, 12_000), 42001);
        tokens.void("wx1");
        assert_eq!(code(&tokens, &second, 12_000), 42007);
    }

    #[test]
    fn a_refresh_token_is_one_shops_until_it_is_killed() {
        let (mut tokens, mut dice) = (Tokens::default(), Dice::new(1));
        let first = tokens.new_refresh(&mut dice, "wx1", true);
        assert!(tokens.check_refresh("wx1", &first).is_ok());
        assert_eq!(tokens.check_refresh("wx2", &first).unwrap_err().code, 61023);
        let second = tokens.new_refresh(&mut dice, "wx1", true);
        assert_eq!(tokens.check_refresh("wx1", &first).unwrap_err().code, 61023);
        assert_eq!(tokens.current_refresh("wx1"), Some(second));
    }

    #[test]
    fn tickets_end_after_twelve_hours_and_codes_work_once() {
        let (mut tokens, mut dice) = (Tokens::default(), Dice::new(1));
        let ticket = tokens.new_ticket(&mut dice, 43_200, 0);
        assert!(tokens.check_ticket(&ticket, 43_199_999).is_ok());
        assert_eq!(tokens.check_ticket(&ticket, 43_200_000).unwrap_err().code, 61005);
        assert_eq!(tokens.check_ticket("x", 0).unwrap_err().code, 61006);
        let code = tokens.new_authorization_code(&mut dice, "wx1", 600, 0);
        assert_eq!(tokens.use_authorization_code(&code, 1).unwrap(), "wx1");
        assert_eq!(tokens.use_authorization_code(&code, 1).unwrap_err().code, 61009);
    }

    #[test]
    fn issued_tokens_do_not_show_themselves() {
        let issued = IssuedTokens {
            access_id: "access-1".into(),
            expires_in: 1,
            access: "CANARY".into(),
            refresh: Some("CANARY".into()),
        };
        assert!(!format!("{issued:?}").contains("CANARY"));
    }
}
