//! The lives of the orders, each shown before and after.
use anyhow::{Context, Result};
use fangshi_platform::{Address, Body, By, NewOrder, Step, real_orders};

use crate::{
    scene::{CONTROLLERS, GIFTS, Scene, TEA},
    story::Story,
};

/// What the plugins have to do in a life, and leave behind.
pub struct Promise {
    /// The shop.
    pub appid: &'static str,
    /// Its order.
    pub order: String,
    /// Operations by their names on the platform, each as often as it is made.
    pub changes: &'static [&'static str],
    /// The merchant's note at the end.
    pub note: &'static str,
}

const NOTE: &str = "changemerchantnotes";
const ACCEPT: &str = "acceptorderaddressmodifyapply";
const REJECT: &str = "rejectorderaddressmodifyapply";
/// What the warehouse writes on a parcel that is packed.
const PACKED: &str = "已打包";

/// Plays all lives; gives what the shops' plugins have to have done in them.
pub async fn play(scene: &Scene, story: &mut Story) -> Result<Vec<Promise>> {
    let mut promises = the_real_orders(scene, story).await?;
    promises.extend(two_address_wishes(scene, story).await?);
    promises.push(a_whole_life_in_javascript(scene, story).await?);
    promises.push(a_gift(scene, story).await?);
    Ok(promises)
}

/// Paid, a virtual number given out, shipped: the two real payloads of the forum's question. The other order of that question is
/// shipped without a virtual number, so no event of type 5 comes.
async fn the_real_orders(scene: &Scene, story: &mut Story) -> Result<Vec<Promise>> {
    let order = real_orders::FIRST;
    story.title(&format!("The real order {order}: paid, virtual number given out, shipped"));
    scene.platform.load_real_orders(CONTROLLERS)?;
    story.order(scene, order)?;
    let shop = scene.platform.shop(CONTROLLERS).context("the shop is gone")?;
    let pay = format!(
        r#"{{"ToUserName":"{}","FromUserName":"oWRGA7eC8hTdngzEnBSbFKBTVFcQ","CreateTime":{time},"MsgType":"event","Event":"channels_ec_order_pay","order_info":{{"order_id":{order},"pay_time":{time}}}}}"#,
        shop.user_name,
        time = real_orders::PAID_AT,
    );
    story.step("the buyer has paid 388.00 yuan");
    scene.platform.push_text(CONTROLLERS, "channels_ec_order_pay", &pay, Body::Json)?;
    story.follow(scene).await?;
    story.step("the platform forgets the shop's token: the next call has to refresh it");
    scene.platform.expire_tokens(CONTROLLERS);
    story.step("the waybill is printed: the platform gives out a virtual number (type 5)");
    scene.platform.drive(order, Step::AllocateNumber)?;
    story.follow(scene).await?;
    story.step("the parcel leaves");
    scene.platform.drive(order, Step::ShipAll { delivery_id: "SF".into(), waybill_id: "SF3262259346637".into() })?;
    story.follow(scene).await?;
    story.order(scene, order)?;
    story.step(&format!(
        "the other order of the question, {}, leaves without a virtual number: no type 5",
        real_orders::SECOND
    ));
    story.order(scene, real_orders::SECOND)?;
    scene.platform.play_second_real_order().await?;
    story.follow(scene).await?;
    story.order(scene, real_orders::SECOND)?;
    let promise = |order: &str, changes, note| Promise { appid: CONTROLLERS, order: order.to_owned(), changes, note };
    Ok(vec![
        promise(real_orders::FIRST, &[NOTE, NOTE], "大额订单；虚拟号已变更"),
        promise(real_orders::SECOND, &[], ""),
    ])
}

/// One wish comes in time, one after packing.
async fn two_address_wishes(scene: &Scene, story: &mut Story) -> Result<Vec<Promise>> {
    let mut promises = Vec::new();
    story.title("Two buyers ask for another address: one in time, one after packing");
    for packed in [false, true] {
        let order = scene.platform.add_order(GIFTS, NewOrder::priced(12_800))?;
        story.order(scene, &order)?;
        story.step("it is paid");
        scene.platform.drive(&order, Step::Pay)?;
        if packed {
            story.step("the warehouse packs it and says so in the merchant's note");
            scene.platform.drive(&order, Step::WriteNote { notes: PACKED.into() })?;
        }
        story.step("the buyer asks for another address (type 4)");
        let wish = Address { detail_info: "江南大道 588 号 2 幢".into(), ..Address::default() };
        scene.platform.drive(&order, Step::AskAddress { address: wish })?;
        story.follow(scene).await?;
        story.order(scene, &order)?;
        let (changes, note): (&[&str], _) = if packed { (&[REJECT], PACKED) } else { (&[ACCEPT], "") };
        promises.push(Promise { appid: GIFTS, order, changes, note });
    }
    Ok(promises)
}

/// From placing to settlement, with the plugin written in JavaScript.
async fn a_whole_life_in_javascript(scene: &Scene, story: &mut Story) -> Result<Promise> {
    story.title("A whole life in the tea house, whose plugin is written in JavaScript");
    let order = scene.platform.add_order(TEA, NewOrder::priced(66_600))?;
    story.order(scene, &order)?;
    for (words, step) in [
        ("the buyer pays 666.00 yuan", Step::Pay),
        ("the parcel leaves", Step::ShipAll { delivery_id: "SF".into(), waybill_id: "SF3262259346638".into() }),
        ("the buyer confirms receipt", Step::Confirm { by: By::User }),
        ("the platform settles", Step::Settle),
    ] {
        story.step(words);
        scene.platform.drive(&order, step)?;
        story.follow(scene).await?;
    }
    story.order(scene, &order)?;
    Ok(Promise { appid: TEA, order, changes: &[NOTE], note: "大额订单" })
}

/// Paid but not to be shipped before it is accepted; too small to be marked.
async fn a_gift(scene: &Scene, story: &mut Story) -> Result<Promise> {
    story.title("A gift: paid, then accepted by the one who gets it");
    let present = fangshi_platform::NewPresent { note: "生日快乐".into(), ..Default::default() };
    let order =
        scene.platform.add_order(CONTROLLERS, NewOrder { present: Some(present), ..NewOrder::priced(9_900) })?;
    story.order(scene, &order)?;
    story.step("the giver pays");
    scene.platform.drive(&order, Step::Pay)?;
    story.follow(scene).await?;
    story.step("the gift is accepted");
    scene.platform.drive(
        &order,
        Step::AcceptPresent {
            openid: "oRecipient0000000000000000001".into(),
            address: Address::default(),
            new_sku_id: None,
        },
    )?;
    story.follow(scene).await?;
    story.order(scene, &order)?;
    Ok(Promise { appid: CONTROLLERS, order, changes: &[], note: "" })
}
