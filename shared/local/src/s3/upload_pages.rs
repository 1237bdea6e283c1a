//! `ListMultipartUploads`: the uploads under way, a page at a time.

use s3s::S3Request;
use s3s::dto::*;

use super::commit::io_error;
use super::meta::http_time;
use super::multipart::Upload;
use super::output::{Answer, ok, on_disk};
use super::{Storage, pages};

/// The page of uploads that comes after a marker, and whether there are more.
fn after_marker(
    mut uploads: Vec<(String, Upload)>,
    input: &ListMultipartUploadsInput,
    max: usize,
) -> (Vec<(String, Upload)>, Vec<String>, bool) {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let key = input.key_marker.as_deref().unwrap_or_default();
    let id = input.upload_id_marker.as_deref().unwrap_or_default();
    uploads.retain(|(own, upload)| {
        let behind = upload.key.as_str() > key
            || (upload.key == key && !id.is_empty() && own.as_str() > id)
            || key.is_empty();
        upload.key.starts_with(prefix) && behind
    });
    uploads.sort_by(|(a, left), (b, right)| left.key.cmp(&right.key).then_with(|| a.cmp(b)));
    let (mut page, mut prefixes): (Vec<(String, Upload)>, Vec<String>) = (vec![], vec![]);
    for (own, upload) in uploads {
        let rest = upload.key.strip_prefix(prefix).unwrap_or_default();
        let head = input.delimiter.as_deref().filter(|text| !text.is_empty()).and_then(|text| {
            let (head, _) = rest.split_once(text)?;
            Some(format!("{prefix}{head}{text}"))
        });
        if head.as_ref().is_some_and(|head| prefixes.last() == Some(head) || key.starts_with(head))
        {
            continue;
        }
        if page.len() + prefixes.len() == max {
            return (page, prefixes, true);
        }
        match head {
            Some(head) => prefixes.push(head),
            None => page.push((own, upload)),
        }
    }
    (page, prefixes, false)
}

impl Storage {
    pub(super) async fn open_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let uploads = on_disk(move || bucket.uploads().map_err(io_error)).await?;
        let max = pages::page(input.max_uploads);
        let (page, prefixes, more) = after_marker(uploads, &input, max);
        let encoded = pages::encoder(input.encoding_type.as_ref());
        let last_key = page.last().map(|(_, upload)| upload.key.as_str());
        let last = last_key.max(prefixes.last().map(String::as_str)).filter(|_| more);
        let last_id = page.last().filter(|(_, upload)| Some(upload.key.as_str()) == last);
        let shown = page.iter().map(|(id, upload)| MultipartUpload {
            key: Some(encoded(&upload.key)),
            upload_id: Some(id.clone()),
            initiated: Some(http_time(upload.initiated)),
            checksum_algorithm: upload.algorithm.clone().map(ChecksumAlgorithm::from),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..Default::default()
        });
        ok(ListMultipartUploadsOutput {
            uploads: Some(shown.collect()),
            common_prefixes: Some(
                prefixes
                    .iter()
                    .map(|prefix| CommonPrefix { prefix: Some(encoded(prefix)) })
                    .collect(),
            ),
            is_truncated: Some(more),
            next_key_marker: last.map(encoded),
            next_upload_id_marker: last_id.map(|(id, _)| id.clone()),
            bucket: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            key_marker: Some(input.key_marker.unwrap_or_default()),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            max_uploads: i32::try_from(max).ok(),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_come_in_pages_in_the_order_of_their_keys() {
        let uploads = || -> Vec<(String, Upload)> {
            let all = [("3", "b"), ("2", "a"), ("1", "a"), ("4", "d/x"), ("5", "d/y"), ("6", "e")];
            let upload = |key: &str| Upload { key: key.to_owned(), ..Upload::default() };
            all.map(|(id, key)| (id.to_owned(), upload(key))).to_vec()
        };
        let input = || ListMultipartUploadsInput::builder().bucket("b".to_owned());
        let ids = |page: &[(String, Upload)]| -> String {
            page.iter().map(|(id, _)| id.as_str()).collect()
        };
        let (page, _, more) = after_marker(uploads(), &input().build().unwrap(), 10);
        assert_eq!((ids(&page).as_str(), more), ("123456", false));
        let second = input().key_marker(Some("a".into())).upload_id_marker(Some("1".into()));
        let (page, _, more) = after_marker(uploads(), &second.build().unwrap(), 2);
        assert_eq!((ids(&page).as_str(), more), ("23", true));
        let folders = input().delimiter(Some("/".into())).build().unwrap();
        let (page, prefixes, _) = after_marker(uploads(), &folders, 10);
        assert_eq!((ids(&page).as_str(), prefixes), ("1236", vec!["d/".to_owned()]));
    }
}
