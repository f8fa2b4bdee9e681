//! Hooks, runs and refusals in plain words, Chinese and English. Grants have theirs in `fangshi_operations::interfaces`.

use fangshi_journal::RunState;
use fangshi_tenants::{Digest, SuspendedBy, Tenant, TenantKind, TenantState};

use super::language::Language;

/// A hook: when the plugin is called.
pub(super) struct Hook {
    pub name: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
}

const fn when(name: &'static str, zh: &'static str, en: &'static str) -> Hook {
    Hook { name, zh, en }
}

const HOOKS: &[Hook] = &[
    when("on-new", "买家下单时", "When a buyer places an order"),
    when("on-cancel", "订单取消时", "When an order is cancelled"),
    when("on-pay", "买家付款时", "When a buyer pays"),
    when("on-wait-shipping", "订单等待发货时", "When an order waits for shipping"),
    when("on-deliver", "订单发货时", "When an order is shipped"),
    when("on-confirm", "确认收货时", "When receipt is confirmed"),
    when("on-settle", "订单结算时", "When an order is settled"),
    when(
        "on-ext-info-update",
        "订单信息变化时（地址、备注、价格、虚拟号等）",
        "When something of an order changes (address, notes, price, virtual number …)",
    ),
    when("on-schedule", "到了您设定的时间", "At the times that you set"),
];

/// The words of a hook.
pub(super) fn hook(name: &str) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.name == name)
}

/// Where a run stands.
pub(super) struct Outcome {
    pub zh: &'static str,
    pub en: &'static str,
    pub good: bool,
    pub bad: bool,
}

/// The words of a run's state.
pub(super) fn outcome(state: RunState) -> Outcome {
    let words = |zh, en| Outcome { zh, en, good: false, bad: false };
    match state {
        RunState::Ready => words("等待运行", "about to run"),
        RunState::Waiting => words("等待重试", "waits for a retry"),
        RunState::Done => Outcome { good: true, ..words("完成", "done") },
        RunState::Rejected => words("插件拒绝处理", "declined by the plugin"),
        RunState::Parked => {
            Outcome { bad: true, ..words("已停止，等待人工处理", "given up, waits for a person") }
        }
    }
}

/// Code, Chinese, English. Only codes of the host are shown: a plugin's own words may hold a buyer's.
const REASONS: &[(&str, &str, &str)] = &[
    ("done", "", ""),
    ("reject", "插件拒绝了这次处理", "the plugin declined"),
    ("retry-later", "插件要求稍后重试", "the plugin asked to try later"),
    ("trap", "插件出错", "the plugin broke down"),
    ("limit", "插件超出限制", "the plugin went beyond a limit"),
    ("deadline", "插件运行超时", "the plugin took too long"),
    ("event-unfit", "订单消息的内容无法交给插件", "the platform's message says what no plugin can be given"),
    ("attempts", "多次尝试仍未成功", "did not succeed after many attempts"),
    ("loop", "插件反复修改同一订单", "the plugin changed one order again and again"),
    ("divergence", "恢复运行时结果不一致", "could not be resumed as it began"),
    ("quarantined", "它的版本已被隔离，由其他版本替换", "its version was quarantined, and another took its place"),
    ("revoked", "服务商撤销了对它的版本的审核", "your service provider took the approval of its version back"),
];

/// The words of a run's reason; a code without words of its own is "other".
pub(super) fn reason(code: Option<&str>, language: Language) -> &'static str {
    let Some(code) = code else { return "" };
    match REASONS.iter().find(|(known, ..)| *known == code) {
        Some((_, zh, en)) => language.pick(zh, en),
        None => language.pick("其他原因", "another reason"),
    }
}

/// Why a shop's plugins do not run.
pub(super) struct Stopped {
    pub zh: &'static str,
    pub en: &'static str,
    pub why_zh: &'static str,
    pub why_en: &'static str,
}

/// The words of a shop's state, unless it is active. What the operator noted as the reason is the operator's.
pub(super) fn stopped(tenant: &Tenant) -> Option<Stopped> {
    let suspended =
        |why_zh, why_en| Stopped { zh: "店铺已暂停服务", en: "The shop is suspended", why_zh, why_en };
    match (&tenant.state, tenant.kind) {
        (TenantState::Active, _) => None,
        (TenantState::Suspended { by: SuspendedBy::Operator, .. }, _) => {
            Some(suspended("服务商暂停了您的店铺。", "Your service provider suspended it."))
        }
        (TenantState::Suspended { by: SuspendedBy::Platform, .. }, TenantKind::Authorized) => Some(suspended(
            "微信不再接受店铺的授权，需要重新授权。",
            "WeChat no longer accepts the shop's authorization: it has to be given again.",
        )),
        (TenantState::Suspended { by: SuspendedBy::Platform, .. }, _) => Some(suspended(
            "微信拒绝了店铺自己的应用凭证。",
            "WeChat refuses the credentials of the shop's own application.",
        )),
        (TenantState::Revoked { .. }, TenantKind::Authorized) => Some(Stopped {
            zh: "店铺已取消授权",
            en: "The shop's authorization was taken back",
            why_zh: "店铺在微信侧取消了对服务商的授权。",
            why_en: "The shop took it back from your service provider on WeChat.",
        }),
        (TenantState::Revoked { .. }, _) => Some(Stopped {
            zh: "店铺已停止服务",
            en: "The shop is no longer served",
            why_zh: "微信不再向店铺自己的应用提供服务。",
            why_en: "WeChat no longer serves the shop's own application.",
        }),
    }
}

/// A refusal: what is wrong, and what to do.
pub(super) struct Refused {
    pub code: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub todo_zh: &'static str,
    pub todo_en: &'static str,
}

const fn no(
    code: &'static str,
    zh: &'static str,
    en: &'static str,
    todo_zh: &'static str,
    todo_en: &'static str,
) -> Refused {
    Refused { code, zh, en, todo_zh, todo_en }
}

const FOR_THE_DEVELOPER_ZH: &str = "请把下面的说明转给插件的开发者，修改后重新上传。";
const FOR_THE_DEVELOPER_EN: &str =
    "Pass what stands below to the plugin's developer, and upload it again once corrected.";

const REFUSALS: &[Refused] = &[
    no(
        "no-file",
        "没有选择文件",
        "No file was chosen",
        "请选择一个 .wasm 文件，再点上传。",
        "Choose a .wasm file, then upload.",
    ),
    no(
        "not-wasm",
        "这不是插件文件",
        "This file is no plugin",
        "插件是以 .wasm 结尾的文件。请确认选对了文件（不是压缩包或源代码）。",
        "A plugin is a file that ends in .wasm. Check that it is the right one, not an archive or source code.",
    ),
    no(
        "too-large",
        "文件太大",
        "The file is too large",
        "请让开发者以发布模式重新构建；仍然太大时请联系服务商。",
        "Let its developer build it for release; if it is still too large, ask your service provider.",
    ),
    no(
        "component-too-large",
        "文件太大",
        "The file is too large",
        "请让开发者以发布模式重新构建；仍然太大时请联系服务商。",
        "Let its developer build it for release; if it is still too large, ask your service provider.",
    ),
    no(
        "core-module",
        "这个文件还不是完整的插件（是核心模块，不是组件）",
        "This file is not a whole plugin yet (a core module, no component)",
        "请让开发者用 SDK 的构建命令生成组件后重新上传。",
        "Let its developer make a component of it with the SDK's build, and upload that.",
    ),
    no(
        "wit-package",
        "这个文件只有接口说明，没有代码",
        "This file describes interfaces and holds no code",
        "请让开发者提供构建出来的插件文件。",
        "Ask its developer for the built plugin.",
    ),
    no(
        "component-invalid",
        "插件文件已损坏或格式不正确",
        "The file is damaged or malformed",
        "请重新取得文件后再上传；仍然如此时请联系开发者。",
        "Get the file again and upload it; if it stays so, ask its developer.",
    ),
    no(
        "unknown-import",
        "插件要求本系统不提供的功能",
        "The plugin asks for something that this host does not offer",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "unknown-export",
        "插件包含本系统不认识的入口",
        "The plugin has an entry that this host does not know",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "other-version",
        "插件是为另一个版本的系统构建的",
        "The plugin was built for another version of this host",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "unknown-function",
        "插件使用了不存在的函数",
        "The plugin uses a function that does not exist",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "other-types",
        "插件的接口与本系统不一致",
        "The plugin's interfaces differ from this host's",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "async-not-supported",
        "插件使用了暂不支持的异步接口",
        "The plugin uses async interfaces, which are not supported yet",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "no-hook",
        "插件不处理任何订单事件，安装后不会运行",
        "The plugin handles no event: it would never run",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "component-unloadable",
        "插件无法编译",
        "The plugin can't be compiled",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "compile-too-slow",
        "编译插件耗时过长",
        "Compiling the plugin takes too long",
        "请让开发者精简插件后重新上传；仍然不行时请联系服务商。",
        "Let its developer make it smaller; if it still takes too long, ask your service provider.",
    ),
    no(
        "compile-too-large",
        "编译插件占用的内存或生成的代码过大",
        "Compiling the plugin needs too much memory, or gives too much code",
        "请让开发者精简插件后重新上传；仍然不行时请联系服务商。",
        "Let its developer make it smaller; if it is still too large, ask your service provider.",
    ),
    no("compile-failed", "插件编译失败", "Compiling the plugin failed", FOR_THE_DEVELOPER_ZH, FOR_THE_DEVELOPER_EN),
    no(
        "signature-missing",
        "服务商要求插件带有签名，本页面无法上传",
        "Your service provider takes signed plugins only, which this page can't upload",
        "请将插件文件交给服务商，由其签名后上传。",
        "Give the plugin to your service provider, who signs and uploads it.",
    ),
    no(
        "hooks-per-event",
        "安装的插件过多",
        "Too many plugins are installed",
        "您的店铺已有太多插件处理同一种订单事件。请移除不需要的插件，或请服务商提高上限。",
        "Too many plugins of your shop handle the same kind of event. Remove one, or ask your service provider for more room.",
    ),
    no(
        "version-not-approved",
        "这个版本还在等待服务商审核",
        "This version still waits for approval",
        "请联系服务商审核这个版本，审核通过后再批准安装。",
        "Ask your service provider to approve it; after that you can install it.",
    ),
    no(
        "version-not-signed",
        "这个版本没有可信签名",
        "No trusted key signed this version",
        "请联系服务商上传带签名的同一版本，之后即可安装。",
        "Ask your service provider to upload the same version with its signature; after that you can install it.",
    ),
    no(
        "version-revoked",
        "服务商撤销了对这个版本的审核",
        "The approval of this version was taken back",
        "请联系服务商，或安装其他版本。",
        "Ask your service provider, or install another version.",
    ),
    no(
        "paused-by-operator",
        "服务商暂停了这个插件",
        "Your service provider paused this plugin",
        "只有服务商可以恢复它，移除后重新安装也不行。请联系服务商。",
        "They alone can resume it; removing it and installing it again does not. Please ask them.",
    ),
    no(
        "upload-under-way",
        "上一个上传还在处理中",
        "An earlier upload is still being looked at",
        "请稍候片刻，再上传一次。",
        "Wait a moment and upload it again.",
    ),
    no(
        "invalid-body",
        "插件名称不能使用",
        "The plugin's name can't be used",
        "名称须为 1 到 64 个小写字母、数字或 - _ . 字符；也可以留空。",
        "It must have 1 to 64 of a-z, 0-9, - _ and . ; it may also be left empty.",
    ),
    no(
        "uploads-used-up",
        "上传数量已达上限",
        "No more uploads are possible",
        "您的店铺上传的插件版本或总大小已达上限。请联系服务商提高上限。",
        "Your shop has uploaded as many versions, or as many bytes, as it may. Ask your service provider for more room.",
    ),
    no(
        "uploads-paused",
        "上一个插件没有编译成功，请稍后再上传",
        "The last plugin did not compile: wait before the next one",
        "请让开发者按当时的说明修改，过几分钟后重新上传。每次失败后等待的时间会变长。",
        "Let its developer mend what it was refused for, and upload it in some minutes. The wait grows with each failure.",
    ),
    no(
        "uploads-full",
        "系统正在处理其他上传",
        "The system is busy with other uploads",
        "请过一会儿再上传一次。",
        "Upload it again in a while.",
    ),
    no(
        "body-too-slow",
        "上传太慢，已被中断",
        "The upload took too long and was ended",
        "请换一个更快的网络再上传；仍然太慢时请联系服务商。",
        "Upload it over a faster line; if it still takes too long, ask your service provider.",
    ),
    no("body-cut", "上传中断", "The upload broke off", "请再上传一次。", "Upload it again."),
    no(
        "http-off",
        "本系统没有开放外部网址",
        "Sending data outside is switched off here",
        "这个插件要向外部网址发送数据，而服务商关闭了这项功能。请联系服务商。",
        "The plugin sends data outside, which your service provider has switched off. Ask your service provider.",
    ),
    no(
        "host-missing",
        "没有填写外部网址",
        "No outside host is named",
        "这个插件要向外部网址发送数据。请返回，填写允许它访问的网址。",
        "The plugin sends data outside. Go back and name the hosts that it may reach.",
    ),
    no(
        "host-not-possible",
        "有一个外部网址不能使用",
        "One of the hosts can't be used",
        "请返回，每行填写一个完整的域名，例如 erp.example.com；不要写 https://、路径、IP 地址或通配符。",
        "Go back and write one full name a line, such as erp.example.com, without https://, path, address or wildcard.",
    ),
    no(
        "host-denied",
        "有一个外部网址不允许访问",
        "One of the hosts may not be reached",
        "服务商不允许插件访问这个网址。请返回并删除它，或联系服务商。",
        "Your service provider lets no plugin reach it. Go back and leave it out, or ask your service provider.",
    ),
    no(
        "hosts-unreadable",
        "插件声明的外部网址有误",
        "The plugin declares a host that can't be used",
        "请让开发者改正插件中声明的网址后重新上传。",
        "Let its developer mend the hosts that the plugin declares, and upload it again.",
    ),
    no(
        "permission-set-missing",
        "店铺授权不足",
        "The shop has not granted enough",
        "插件使用的功能超出店铺在微信侧授予服务商的权限集。请让服务商发送新的授权链接，勾选所需权限后再安装。",
        "The plugin uses more than the permission sets that the shop granted on the platform. Ask your service provider for \
         a new authorization link, grant what is needed, and install it then.",
    ),
    no(
        "grants-missing",
        "权限已变化",
        "What it asks for has changed",
        "请返回并重新查看插件的权限。",
        "Go back and read again what the plugin asks for.",
    ),
    no(
        "settings-schema",
        "插件的设置说明不正确",
        "What the plugin says about its settings can't be used",
        FOR_THE_DEVELOPER_ZH,
        FOR_THE_DEVELOPER_EN,
    ),
    no(
        "schedules-unfit",
        "这个版本不会定时运行",
        "The clock can't call this version",
        "插件设有运行时间，而这个版本不支持。请先在插件的设置页面删除运行时间，再批准。",
        "The plugin has times that are set, and this version can have none. Remove them on the plugin's settings page, and \
         approve it then.",
    ),
    no(
        "settings-unfit",
        "现有设置不适用于这个版本",
        "The present settings do not fit this version",
        "请打开该版本的批准页面，填写设置后再批准。",
        "Open this version's page of consent, fill in its settings, and approve it then.",
    ),
    no(
        "installation-removed",
        "这个插件已被移除",
        "This plugin was removed",
        "请重新查看插件并批准安装。",
        "Read what the plugin asks for again and approve it.",
    ),
];

const OTHER: Refused = no(
    "",
    "操作没有成功",
    "That did not work",
    "请再试一次；若仍然如此，请联系服务商。",
    "Try again; if it stays so, tell your service provider.",
);

/// What a permission set is for (platform page 2.5), in Chinese and English.
pub(super) fn permission_set(set: u16) -> Option<(&'static str, &'static str)> {
    match set {
        130 => Some(("店铺基础与商家电话", "shop basics and the shop's phones")),
        131 => Some(("订单、发货与售后", "orders, delivery and after-sale")),
        _ => None,
    }
}

/// The words of a refusal's code.
pub(super) fn refusal(code: &str) -> &'static Refused {
    REFUSALS.iter().find(|words| words.code == code).unwrap_or(&OTHER)
}

/// The beginning of a version's digest: enough for people.
pub(super) fn short(version: &Digest) -> String {
    version.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wit_parser::{Resolve, WorldItem};

    use super::*;

    fn contract() -> Resolve {
        let wit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut resolve = Resolve::new();
        for package in ["host", "store"] {
            resolve.push_dir(wit.join(package)).unwrap();
        }
        resolve
    }

    fn names<'a>(resolve: &'a Resolve, items: impl IntoIterator<Item = &'a WorldItem>) -> BTreeSet<&'a str> {
        let name = |item: &'a WorldItem| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.as_deref(),
            _ => None,
        };
        items.into_iter().filter_map(name).collect()
    }

    fn is_chinese(text: &str) -> bool {
        text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    #[test]
    fn every_hook_and_every_interface_of_the_contract_has_both_texts() {
        let resolve = contract();
        let (_, world) = resolve.worlds.iter().find(|(_, world)| world.name == "contract").unwrap();
        let hooks: BTreeSet<&str> = HOOKS.iter().map(|hook| hook.name).collect();
        assert_eq!(hooks, names(&resolve, world.exports.values()));
        for hook in HOOKS {
            assert!(is_chinese(hook.zh) && !is_chinese(hook.en) && !hook.en.is_empty(), "{}", hook.name);
        }
        let imports = names(&resolve, world.imports.values());
        assert!(imports.len() > 25, "{imports:?}");
        for name in imports {
            let words = fangshi_operations::interface(name).unwrap_or_else(|| panic!("{name} has no words"));
            assert!(is_chinese(words.zh) && !is_chinese(words.en) && !words.en.is_empty(), "{name}");
        }
    }

    #[test]
    fn every_refusal_says_what_to_do_in_both_languages() {
        for words in REFUSALS.iter().chain([&OTHER]) {
            for (zh, en) in [(words.zh, words.en), (words.todo_zh, words.todo_en)] {
                assert!(is_chinese(zh) && !is_chinese(en) && !en.is_empty(), "{}", words.code);
            }
        }
        assert_eq!(refusal("nothing").code, "");
        assert_eq!(reason(Some("CANARY words of a plugin"), Language::English), "another reason");
    }
}
