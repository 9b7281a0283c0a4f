//! A message to a channel of Slack, by an incoming webhook: `text` for notifications, `blocks` for the channel.
//! (docs.slack.dev: "Sending messages using incoming webhooks", "Formatting message text", reference of header, section and context blocks.)

use serde_json::{Value, json};

use super::{Telling, cut, is_over, labels};

/// Slack's limits, in characters: of a header's text, and of a section's.
const HEADER_CHARS_MAX: usize = 150;
const SECTION_CHARS_MAX: usize = 3_000;

/// How many alerts are shown: a message has 50 blocks at most, and a person reads the first few.
const ALERTS_MAX: usize = 10;

/// A message.
pub fn body(telling: Telling<'_>) -> Value {
    let notification = telling.notification;
    let title = notification.title();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&title, HEADER_CHARS_MAX), "emoji": false },
    })];
    for alert in notification.alerts.iter().take(ALERTS_MAX) {
        let sign = if is_over(alert) { ":white_check_mark:" } else { ":red_circle:" };
        let link = format!("<{}|Look>", in_link(&telling.link(alert)));
        // Texts are cut before they are escaped: half an entity would be shown as it is. All of them together stay below the limit.
        let says = escaped(&cut(&alert.summary, 250));
        let value = escaped(&cut(&alert.value, 60));
        let labels = escaped(&cut(&labels(alert), 200));
        let text = format!("{sign} {says}\n{value} · {labels} · {link}");
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(&text, SECTION_CHARS_MAX) } }));
    }
    let hidden = notification.alerts.len().saturating_sub(ALERTS_MAX) + notification.left_out;
    let more = if hidden > 0 { format!("and {hidden} more · ") } else { String::new() };
    let all = format!("{more}<{}|All alerts>", in_link(&telling.link_to_all()));
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": all }] }));
    json!({ "text": escaped(&title), "blocks": blocks })
}

/// As Slack asks for it: what could begin a link, a mention or an entity.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A URL between `<` and `|`.
fn in_link(url: &str) -> String {
    escaped(url).replace('|', "%7C")
}

#[cfg(test)]
mod tests {
    use super::super::given::{firing, resolved, telling};
    use super::*;

    #[test]
    fn a_message_has_a_text_and_blocks_and_no_alert_can_call_the_channel() {
        let body = body(telling(&firing()));
        assert_eq!(body["text"], "Firing: billing is late (5 alerts)");
        let kinds: Vec<&str> =
            body["blocks"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["header", "section", "section", "context"]);
        let first = body["blocks"][1]["text"]["text"].as_str().unwrap();
        assert_eq!(
            first,
            ":red_circle: billing is 41 s behind on orders\n41 s · group = billing, topic = orders · \
             <https://sillage.example.org/tools/group/main/billing?from=2026-11-23T13:02:11Z|Look>"
        );
        let hostile = body["blocks"][2]["text"]["text"].as_str().unwrap();
        assert!(hostile.contains("&lt;!channel&gt;") && !hostile.contains("<!"), "{hostile}");
        assert_eq!(
            body["blocks"][3]["elements"][0]["text"],
            "and 3 more · <https://sillage.example.org/tools/alerts|All alerts>"
        );
        let over = super::body(telling(&resolved()));
        assert!(over["blocks"][1]["text"]["text"].as_str().unwrap().starts_with(":white_check_mark:"));
    }

    #[test]
    fn a_message_stays_within_slacks_limits() {
        let mut notification = firing();
        notification.alerts = vec![
            store::alert::Alert {
                name: "n".repeat(400),
                summary: "<".repeat(9_000),
                ..notification.alerts[0].clone()
            };
            30
        ];
        let body = body(telling(&notification));
        assert_eq!(body["blocks"].as_array().unwrap().len(), 12);
        assert!(body["blocks"][0]["text"]["text"].as_str().unwrap().chars().count() <= HEADER_CHARS_MAX);
        assert!(body["blocks"][1]["text"]["text"].as_str().unwrap().chars().count() <= SECTION_CHARS_MAX);
        assert!(body["blocks"][11]["elements"][0]["text"].as_str().unwrap().starts_with("and 23 more"));
    }
}
