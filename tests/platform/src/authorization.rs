//! A shop's authorization: given, changed, taken back, with the events to the authorization URL (platform page 2.3).

use std::collections::BTreeSet;

use crate::message::cdata;
use crate::retry::Rule;
use crate::shops::ShopKind;
use crate::state::State;
use crate::tokens::{Holder, IssuedTokens};

impl State {
    /// Issues a new ticket and pushes it.
    pub(crate) fn push_ticket(&mut self, now_ms: i64) -> u64 {
        let ticket = self.tokens.new_ticket(&mut self.dice, self.settings.ticket_life_s, now_ms);
        let inner = format!("<ComponentVerifyTicket>{}</ComponentVerifyTicket>", cdata(&ticket));
        let text = self.authorization_message("component_verify_ticket", &inner, now_ms);
        self.raise_authorization(None, "component_verify_ticket", text, Rule::Once, now_ms)
    }

    fn authorization_message(&self, info_type: &str, inner: &str, now_ms: i64) -> String {
        format!(
            "<xml><AppId>{}</AppId>\n<CreateTime>{}</CreateTime>\n<InfoType>{}</InfoType>\n{inner}\n</xml>",
            cdata(&self.component.appid),
            now_ms / 1000,
            cdata(info_type),
        )
    }

    /// Issues an access token (and shows the refresh token) as `api_query_auth` would, without a call.
    pub(crate) fn issue_tokens(&mut self, appid: &str, now_ms: i64) -> Option<IssuedTokens> {
        let kind = self.shops.get(appid)?.kind;
        let life_s = self.settings.token_life_s;
        let (holder, overlap_s) = match kind {
            ShopKind::Authorized => (Holder::Authorizer(appid.to_owned()), self.settings.authorizer_overlap_s),
            ShopKind::SelfBuilt => (Holder::SelfBuilt(appid.to_owned()), life_s),
        };
        let refresh = (kind == ShopKind::Authorized).then(|| match self.tokens.current_refresh(appid) {
            Some(refresh) => refresh,
            None => self.tokens.new_refresh(&mut self.dice, appid, true),
        });
        let (access_id, access) = self.tokens.issue(&mut self.dice, holder, life_s, overlap_s, now_ms);
        Some(IssuedTokens { access_id, expires_in: life_s, access, refresh })
    }

    /// The merchant authorizes, or authorizes again: a new refresh token, the old one dies. The event is
    /// `authorized` for a new one, `updateauthorized` for changed sets, and none if nothing changed (the silent
    /// case of the service market). Gives the authorization code; none if there is no such shop, or if the
    /// pre-auth code (empty: the service market) was never given or is over.
    pub(crate) fn authorize(
        &mut self,
        appid: &str,
        sets: BTreeSet<u16>,
        pre_auth_code: &str,
        now_ms: i64,
    ) -> Option<String> {
        if !pre_auth_code.is_empty() && !self.tokens.knows_pre_auth_code(pre_auth_code, now_ms) {
            return None;
        }
        let shop = self.shops.get_mut(appid).filter(|s| s.kind == ShopKind::Authorized)?;
        let event = match (shop.authorized, shop.permission_sets == sets) {
            (false, _) => Some("authorized"),
            (true, false) => Some("updateauthorized"),
            (true, true) => None,
        };
        shop.authorized = true;
        shop.auth_time = now_ms / 1000;
        shop.permission_sets = sets;
        self.tokens.new_refresh(&mut self.dice, appid, true);
        let (life_s, faults) = (self.settings.code_life_s, self.settings.authorization_faults);
        let code = self.tokens.new_authorization_code(&mut self.dice, appid, life_s, now_ms);
        if let Some(event) = event.filter(|_| !faults.drop_event) {
            let inner = format!(
                "<AuthorizerAppid>{}</AuthorizerAppid>\n<AuthorizationCode>{}</AuthorizationCode>\n<AuthorizationCodeExpiredTime>{}</AuthorizationCodeExpiredTime>\n<PreAuthCode>{}</PreAuthCode>",
                cdata(appid),
                cdata(&code),
                now_ms / 1000 + life_s,
                cdata(pre_auth_code),
            );
            let text = self.authorization_message(event, &inner, now_ms);
            let due_ms = now_ms + faults.delay_event_s * 1000;
            self.raise_authorization(Some(appid), event, text, Rule::Authorization, due_ms);
        }
        Some(code)
    }

    /// The merchant takes the authorization back: calls get 61003 from now on.
    pub(crate) fn revoke(&mut self, appid: &str, now_ms: i64) -> bool {
        let Some(shop) = self.shops.get_mut(appid).filter(|s| s.kind == ShopKind::Authorized && s.authorized) else {
            return false;
        };
        shop.authorized = false;
        self.tokens.drop_refreshes(appid);
        let inner = format!("<AuthorizerAppid>{}</AuthorizerAppid>", cdata(appid));
        let text = self.authorization_message("unauthorized", &inner, now_ms);
        self.raise_authorization(Some(appid), "unauthorized", text, Rule::Authorization, now_ms);
        true
    }
}
