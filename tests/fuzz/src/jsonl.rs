//! A JSON Lines file gives the same rows in blocks and chunks of any size, and the books agree.

use std::sync::LazyLock;

use rowproof_core::pipeline::{Format, JsonlOptions, UnknownFields};

use super::csv_decode::{self, same_however_cut};
use super::reading::Feed;
use super::shape::Shape;

static FEED: LazyLock<Feed> = LazyLock::new(|| {
    let text = csv_decode::PIPELINE.replace("format = \"csv\"", "format = \"jsonl\"");
    Feed::parse(&text).expect("it parses")
});

/// See the module.
pub fn check(data: &[u8]) {
    let mut shape = Shape(data);
    let mut feed = FEED.clone();
    let unknown_fields = shape.choice(&[UnknownFields::Ignore, UnknownFields::Reject]);
    feed.pipeline.source.format =
        Format::Jsonl(JsonlOptions { unknown_fields, ..JsonlOptions::default() });
    feed.limits = shape.limits();
    feed.limits.json_depth_max = shape.choice(&[64, 3]);
    let cuts = shape.cuts();
    same_however_cut(&feed, shape.0, &cuts);
}
