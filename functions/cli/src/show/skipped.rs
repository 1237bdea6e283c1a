//! Objects that are in the input bucket and are no data, by their names.

use rowproof_core::pipeline::has_marker_name;
use rowproof_io::app::App;
use rowproof_io::error::StepError;
use rowproof_io::pipelines::Matched;

use crate::show::report::{counted, printable};

/// Characters of a key that are shown.
const KEY_CHARS_MAX: usize = 100;

/// How many objects that a pipeline matches are skipped by their names, and which is the first; `None`
/// when there is none.
pub(crate) async fn skipped(app: &App) -> Result<Option<String>, StepError> {
    let bucket = &app.settings.input_bucket;
    let (mut after, mut count, mut first) = (String::new(), 0, None);
    loop {
        let page = app.store.page(bucket, "", &after).await?;
        if let Some(last) = page.objects.last() {
            after.clone_from(&last.key);
        }
        for object in page.objects.iter().filter(|object| has_marker_name(&object.key)) {
            // A key that fits several pipelines, or maybe a broken one, is their own trouble.
            match app.pipelines.matching(&object.key).await {
                Ok(Matched::Skipped { what, .. }) => {
                    count += 1;
                    first.get_or_insert((object.key.clone(), what));
                }
                Ok(Matched::One(..) | Matched::None) | Err(StepError::Pipeline(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if !page.more {
            break;
        }
    }
    Ok(first.map(|(key, what)| {
        let (objects, key) = (counted(count, "object"), printable(&key, KEY_CHARS_MAX));
        format!("skipped by name: {objects}, the first is {key}: {what}")
    }))
}
