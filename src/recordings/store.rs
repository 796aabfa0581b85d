//! Where copies of recordings lie: a folder, or a bucket of S3 or of what speaks as it does.

use std::path::PathBuf;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::{Path, PathPart};
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutOptions, PutPayload};
use secrecy::ExposeSecret as _;
use thiserror::Error;

use crate::settings::recordings::{RecordingsOptions, S3Options};

/// The media type of a recording.
pub const CONTENT_TYPE: &str = "audio/mpeg";

/// Amazon's own default.
const REGION: &str = "us-east-1";

/// Why a store can not be used. Nothing of its keys is repeated.
#[derive(Debug, Error)]
#[error("the store of recordings: {0}")]
pub struct StoreError(String);

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A store.
#[derive(Debug)]
pub struct Store {
    place: Place,
    /// What the URI of a copy begins with, without a slash at its end.
    root: String,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Bucket { objects: AmazonS3, prefix: Path },
}

impl Store {
    /// Opens a store. Nothing is read from the environment.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(options: &RecordingsOptions) -> Result<Self, StoreError> {
        let url = &options.copy_to;
        let root = url.as_str().trim_end_matches('/').to_owned();
        if url.scheme() == "file" {
            let folder = url.to_file_path().map_err(|()| StoreError("copy_to is no folder".to_owned()))?;
            std::fs::create_dir_all(&folder)?;
            return Ok(Self { place: Place::Folder(folder), root });
        }
        let bucket = url.host_str().unwrap_or_default();
        let prefix = Path::from_url_path(url.path()).map_err(|error| StoreError(error.to_string()))?;
        Ok(Self { place: Place::Bucket { objects: s3(bucket, &options.s3)?, prefix }, root })
    }

    /// The size of what lies under a name, if anything does.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn size_bytes(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match &self.place {
            Place::Folder(folder) => folder::size_bytes(&folder.join(name)),
            Place::Bucket { objects, prefix } => match objects.head(&below(prefix, name)).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Puts bytes under a name, in place of what lies there.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        match &self.place {
            Place::Folder(folder) => {
                let path = folder.join(name);
                let written = tokio::task::spawn_blocking(move || folder::put(&path, &bytes)).await;
                written.map_err(|error| StoreError(error.to_string()))?
            }
            Place::Bucket { objects, prefix } => {
                let attributes = Attributes::from_iter([(Attribute::ContentType, CONTENT_TYPE)]);
                let options = PutOptions { attributes, ..PutOptions::default() };
                objects.put_opts(&below(prefix, name), PutPayload::from(bytes), options).await?;
                Ok(())
            }
        }
    }

    /// Gives what lies under a name another one.
    ///
    /// # Errors
    /// When the store does not.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        match &self.place {
            Place::Folder(folder) => Ok(std::fs::rename(folder.join(from), folder.join(to))?),
            Place::Bucket { objects, prefix } => Ok(objects.rename(&below(prefix, from), &below(prefix, to)).await?),
        }
    }

    /// Where a name lies.
    pub fn uri(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }
}

fn below(prefix: &Path, name: &str) -> Path {
    prefix.parts().chain(name.split('/').map(PathPart::from)).collect()
}

/// Files for their owner alone: somebody speaks there.
mod folder {
    use std::fs::{DirBuilder, OpenOptions};
    use std::io::{ErrorKind, Write as _};
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use super::StoreError;

    pub(super) fn size_bytes(path: &Path) -> Result<Option<u64>, StoreError> {
        match std::fs::metadata(path) {
            Ok(known) => Ok(Some(known.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        Ok(file.sync_all()?)
    }
}

fn s3(bucket: &str, options: &S3Options) -> Result<AmazonS3, StoreError> {
    let region = options.region.as_deref().unwrap_or(REGION);
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_region(region);
    if let Some(endpoint) = &options.endpoint {
        let is_plain = endpoint.scheme() == "http";
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_allow_http(is_plain);
    }
    if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
    }
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(copy_to: &str) -> RecordingsOptions {
        RecordingsOptions { copy_to: copy_to.parse().unwrap(), delay_s: 0, s3: S3Options::default() }
    }

    #[tokio::test]
    async fn a_folder_keeps_what_is_put_there_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}/recordings/", folder.path().display());
        let store = Store::open(&options(&url)).unwrap();
        assert_eq!(store.size_bytes("t/2026/02/03/1-A.mp3").await.unwrap(), None);
        store.put("t/2026/02/03/1-A.mp3.part", Bytes::from_static(b"abc")).await.unwrap();
        store.rename("t/2026/02/03/1-A.mp3.part", "t/2026/02/03/1-A.mp3").await.unwrap();
        assert_eq!(store.size_bytes("t/2026/02/03/1-A.mp3").await.unwrap(), Some(3));
        assert_eq!(std::fs::read(folder.path().join("recordings/t/2026/02/03/1-A.mp3")).unwrap(), b"abc");
        assert_eq!(store.uri("t/1-A.mp3"), format!("file://{}/recordings/t/1-A.mp3", folder.path().display()));
    }

    #[test]
    fn a_bucket_has_its_prefix_in_every_name() {
        let store = Store::open(&options("s3://bucket/a/b")).unwrap();
        let Place::Bucket { prefix, .. } = &store.place else { panic!("it is a bucket") };
        assert_eq!(below(prefix, "t/1-A.mp3").as_ref(), "a/b/t/1-A.mp3");
        assert_eq!(store.uri("t/1-A.mp3"), "s3://bucket/a/b/t/1-A.mp3");
    }
}
