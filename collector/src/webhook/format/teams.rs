//! An Adaptive Card in a channel of Microsoft Teams, by a workflow "When a Teams webhook request is received".
//! (learn.microsoft.com: "Create incoming webhooks with Workflows"; adaptivecards.io, schema 1.2: RichTextBlock, TextRun, Action.OpenUrl.)
//!
//! Texts stand in `TextRun`s, which know no Markdown: no alert can make a link of its own.

use serde_json::{Value, json};

use super::{Telling, cut, is_over, labels};

/// How many alerts are shown: a message holds 28 KB, and a person reads the first few.
const ALERTS_MAX: usize = 10;

/// A message with a card.
pub fn body(telling: Telling<'_>) -> Value {
    let notification = telling.notification;
    let color = match (notification.is_test, notification.firing) {
        (true, _) => "accent",
        (false, true) => "attention",
        (false, false) => "good",
    };
    let mut items = vec![text(&[json!({
        "type": "TextRun", "text": cut(&telling.notification.title(), 200), "weight": "bolder", "size": "large", "color": color,
    })])];
    for alert in notification.alerts.iter().take(ALERTS_MAX) {
        let state = if is_over(alert) { "Resolved. " } else { "" };
        items.push(text(&[
            json!({ "type": "TextRun", "text": format!("{state}{} ", cut(&alert.summary, 500)) }),
            json!({ "type": "TextRun", "text": cut(&format!("{} · {}", alert.value, labels(alert)), 500), "isSubtle": true }),
        ]));
    }
    let hidden = notification.alerts.len().saturating_sub(ALERTS_MAX) + notification.left_out;
    if hidden > 0 {
        items.push(text(&[json!({ "type": "TextRun", "text": format!("and {hidden} more"), "isSubtle": true })]));
    }
    let mut actions = Vec::new();
    if let Some(first) = notification.alerts.first() {
        actions.push(json!({ "type": "Action.OpenUrl", "title": "Look", "url": telling.link(first) }));
    }
    actions.push(json!({ "type": "Action.OpenUrl", "title": "All alerts", "url": telling.link_to_all() }));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "body": items,
                "actions": actions,
                "msteams": { "width": "Full" },
            },
        }],
    })
}

fn text(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

#[cfg(test)]
mod tests {
    use super::super::given::{firing, resolved, telling};
    use super::*;

    #[test]
    fn a_message_carries_one_adaptive_card_whose_texts_know_no_markdown() {
        let body = body(telling(&firing()));
        assert_eq!(body["type"], "message");
        let attachment = &body["attachments"][0];
        assert_eq!(
            (&attachment["contentType"], &attachment["contentUrl"]),
            (&json!("application/vnd.microsoft.card.adaptive"), &Value::Null)
        );
        let card = &attachment["content"];
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.2")));
        let items = card["body"].as_array().unwrap();
        assert_eq!(items.len(), 4);
        assert!(items.iter().all(|item| item["type"] == "RichTextBlock"), "a TextBlock would make Markdown of it");
        assert_eq!(
            (&items[0]["inlines"][0]["text"], &items[0]["inlines"][0]["color"]),
            (&json!("Firing: billing is late (5 alerts)"), &json!("attention"))
        );
        assert_eq!(items[3]["inlines"][0]["text"], "and 3 more");
        assert_eq!(
            card["actions"][0]["url"],
            "https://sillage.example.org/tools/group/main/billing?from=2026-11-23T13:02:11Z"
        );
        let over = super::body(telling(&resolved()));
        assert_eq!(over["attachments"][0]["content"]["body"][0]["inlines"][0]["color"], "good");
    }

    #[test]
    fn a_card_stays_below_28_kilobytes() {
        let mut notification = firing();
        notification.alerts =
            vec![store::alert::Alert { summary: "ü".repeat(9_000), ..notification.alerts[0].clone() }; 30];
        assert!(body(telling(&notification)).to_string().len() < 28_000);
    }
}
