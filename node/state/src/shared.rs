//! Values that many parts of a state share are kept once: modules, what belongs to them, memories.
//!
//! Serde hands no context down to a field, so while a state is encoded or decoded the tables of such values lie beside it in this
//! thread, and a field holds a number. Numbers follow the order in which values are first met, so equal states have
//! equal bytes; decoding puts one value in all places with its number. Use it with `#[serde(with = "crate::shared")]`.

use crate::{
    blob::{Blob, ReadError},
    memory::{
        PageTree,
        encoding::{PagesReader, PagesWriter},
    },
    objects::{ObjectSink, ObjectSource, Part},
};
use mains_types::Digest32;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::Error as _,
};
use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::BTreeMap,
    sync::Arc,
};

thread_local! {
    static WRITER: RefCell<Option<Writer>> = const { RefCell::new(None) };
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

const OUTSIDE: &str = "shared values are encoded as parts of a whole state only";

/// What numbers in an encoding stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tables {
    values: Vec<Blob>,
    /// Levels and root of each memory.
    memories: Vec<(u32, Digest32)>,
}

impl Tables {
    /// The objects at the top of everything that is shared.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        let memories = self.memories.iter().map(|(height, digest)| Part::Node(*digest, *height));
        self.values.iter().map(Blob::part).chain(memories)
    }
}

/// A value that can stand in the table.
trait Shareable: Send + Sync {
    fn blob(&self) -> postcard::Result<Blob>;
    fn write(&self, sink: &mut dyn ObjectSink) -> postcard::Result<Blob>;
}

impl<T: Serialize + Send + Sync> Shareable for T {
    fn blob(&self) -> postcard::Result<Blob> {
        Blob::of(self)
    }
    fn write(&self, sink: &mut dyn ObjectSink) -> postcard::Result<Blob> {
        Blob::write(self, sink)
    }
}

/// Names of the shared values that were met last time: they are not encoded again to find them out. Holds the values,
/// so that none of their addresses is taken by another one.
#[derive(Default)]
pub struct Memo(BTreeMap<usize, (Arc<dyn Shareable>, Blob)>);

#[derive(Default)]
struct Writer {
    before: Memo,
    met: Memo,
    values: Vec<(Blob, Arc<dyn Shareable>)>,
    numbers: BTreeMap<Blob, u64>,
    pages: PagesWriter,
}

struct Reader {
    values: Vec<Vec<u8>>,
    made: BTreeMap<(u64, TypeId), Arc<dyn Any + Send + Sync>>,
    /// Values met so far.
    met: u64,
    pages: PagesReader,
}

/// Ends the scope of a table, after a panic too.
struct Scope;

impl Drop for Scope {
    fn drop(&mut self) {
        WRITER.with_borrow_mut(|writer| *writer = None);
        READER.with_borrow_mut(|reader| *reader = None);
    }
}

/// Puts `value` and everything in it that is shared; returns its own bytes and the tables.
///
/// # Errors
/// What postcard says.
pub(crate) fn write<T: Serialize>(
    value: &T,
    memo: &mut Memo,
    sink: &mut dyn ObjectSink,
) -> postcard::Result<(Blob, Tables)> {
    let _scope = Scope;
    let before = std::mem::take(memo);
    WRITER.with_borrow_mut(|writer| *writer = Some(Writer { before, ..Writer::default() }));
    let body = Blob::write(value, sink)?;
    let Writer { met, values, pages, .. } = WRITER.with_borrow_mut(Option::take).unwrap_or_default();
    *memo = met;
    let is_complete = sink.is_complete();
    for (blob, value) in &values {
        if !is_complete || !sink.holds(&blob.digest) {
            value.write(sink)?;
        }
    }
    let memories = pages.write(sink);
    Ok((body, Tables { values: values.into_iter().map(|(blob, _)| blob).collect(), memories }))
}

/// What [`write`] has put.
///
/// # Errors
/// An object is missing, or the objects are not what [`write`] puts.
pub(crate) fn read<T: DeserializeOwned>(
    body: &Blob,
    tables: &Tables,
    source: &dyn ObjectSource,
) -> Result<T, ReadError> {
    let _scope = Scope;
    let values = tables.values.iter().map(|blob| blob.read(source)).collect::<Result<_, _>>()?;
    let pages = PagesReader::read(&tables.memories, source)?;
    let body = body.read(source)?;
    READER.with_borrow_mut(|place| *place = Some(Reader { values, made: BTreeMap::new(), met: 0, pages }));
    let (value, rest) =
        postcard::take_from_bytes::<T>(&body).map_err(|error| ReadError::Malformed(error.to_string()))?;
    let all_met = READER.with_borrow(|reader| {
        reader.as_ref().is_some_and(|reader| reader.met == reader.values.len() as u64 && reader.pages.all_met())
    });
    match (all_met, rest.len()) {
        (true, 0) => Ok(value),
        (true, count) => Err(ReadError::Malformed(format!("{count} bytes follow an encoded state"))),
        (false, _) => Err(ReadError::Malformed("a table holds what nothing refers to".into())),
    }
}

/// The number of a memory, or an error outside of [`write`].
pub(crate) fn memory_number<E: serde::ser::Error>(tree: &PageTree) -> Result<u64, E> {
    WRITER
        .with_borrow_mut(|writer| writer.as_mut().map(|writer| writer.pages.number(tree)))
        .ok_or_else(|| E::custom(OUTSIDE))
}

/// The memory with this number, or an error outside of [`read`].
pub(crate) fn memory<E: serde::de::Error>(number: u64) -> Result<PageTree, E> {
    READER
        .with_borrow_mut(|reader| reader.as_mut().map(|reader| reader.pages.tree(number)))
        .ok_or_else(|| E::custom(OUTSIDE))?
        .map_err(E::custom)
}

/// Encodes a shared value as its number.
pub(crate) fn serialize<T, S>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Send + Sync + 'static,
    S: Serializer,
{
    let address = Arc::as_ptr(value) as usize;
    let known = WRITER.with_borrow_mut(|writer| writer.as_mut().map(|writer| writer.known(address)));
    let blob = match known.ok_or_else(|| S::Error::custom(OUTSIDE))? {
        Some(blob) => blob,
        None => value.blob().map_err(S::Error::custom)?,
    };
    let number = WRITER.with_borrow_mut(|writer| writer.as_mut().map(|writer| writer.number(address, value, blob)));
    number.unwrap_or_default().serialize(serializer)
}

/// Decodes a number as the value that it stands for: the same one in all places.
pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Arc<T>, D::Error>
where
    T: DeserializeOwned + Any + Send + Sync,
    D: Deserializer<'de>,
{
    let number = u64::deserialize(deserializer)?;
    let found = READER.with_borrow_mut(|reader| reader.as_mut().map(|reader| reader.find::<T>(number)));
    found.ok_or_else(|| D::Error::custom(OUTSIDE))?.map_err(D::Error::custom)
}

impl Writer {
    fn known(&self, address: usize) -> Option<Blob> {
        self.met.0.get(&address).or_else(|| self.before.0.get(&address)).map(|(_, blob)| *blob)
    }

    fn number<T: Serialize + Send + Sync + 'static>(&mut self, address: usize, value: &Arc<T>, blob: Blob) -> u64 {
        self.met.0.entry(address).or_insert_with(|| (value.clone(), blob));
        let next = self.values.len() as u64;
        let number = *self.numbers.entry(blob).or_insert(next);
        if number == next {
            self.values.push((blob, value.clone()));
        }
        number
    }
}

impl Reader {
    fn find<T: DeserializeOwned + Any + Send + Sync>(&mut self, number: u64) -> Result<Arc<T>, String> {
        if number > self.met {
            return Err("shared values are not numbered in their order".into());
        }
        let key = (number, TypeId::of::<T>());
        if let Some(value) = self.made.get(&key).and_then(|value| value.clone().downcast::<T>().ok()) {
            return Ok(value);
        }
        let bytes = self.values.get(number as usize).ok_or("a shared value is missing")?;
        let value: Arc<T> = Arc::new(postcard::from_bytes(bytes).map_err(|error| error.to_string())?);
        self.made.insert(key, value.clone());
        self.met = self.met.max(number + 1);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Kept;

    #[derive(Serialize, Deserialize)]
    struct Sharer(#[serde(with = "crate::shared")] Arc<String>, #[serde(with = "crate::shared")] Arc<Vec<u8>>);

    #[test]
    fn equal_values_are_kept_once_and_are_one_value_after_decoding() {
        let long = "x".repeat(5_000);
        let sharers: Vec<_> = (0..10).map(|_| Sharer(Arc::new(long.clone()), Arc::new(vec![7; 3]))).collect();
        let (mut kept, mut memo) = (Kept::default(), Memo::default());
        let (body, tables) = write(&sharers, &mut memo, &mut kept).unwrap();
        assert!(tables.values.len() == 2 && memo.0.len() == 20);
        let again: Vec<Sharer> = read(&body, &tables, &kept).unwrap();
        assert!(again.iter().all(|sharer| Arc::ptr_eq(&sharer.0, &again[0].0) && Arc::ptr_eq(&sharer.1, &again[0].1)));
        assert_eq!((&*again[9].0, &*again[9].1), (&long, &vec![7; 3]));
        let written = write(&again, &mut memo, &mut Kept::default()).unwrap();
        assert_eq!(written, (body, tables), "whether values were shared before does not show");
        assert_eq!(memo.0.len(), 2, "what was not met is forgotten");
    }

    #[test]
    fn a_value_that_the_memo_knows_is_put_again_if_it_is_not_kept() {
        let sharer = Sharer(Arc::new("x".repeat(9)), Arc::default());
        let mut memo = Memo::default();
        let first = write(&sharer, &mut memo, &mut Kept::default()).unwrap();
        let mut kept = Kept::default();
        assert_eq!(write(&sharer, &mut memo, &mut kept).unwrap(), first);
        assert!(read::<Sharer>(&first.0, &first.1, &kept).is_ok());
    }

    #[test]
    fn tables_out_of_order_and_values_without_use_are_refused() {
        #[derive(Deserialize)]
        struct One(#[serde(with = "crate::shared")] Arc<u64>);
        let sum = |values: &[u64], numbers: &[u64]| {
            let mut kept = Kept::default();
            let values = values.iter().map(|value| Blob::write(value, &mut kept).unwrap()).collect();
            let body = Blob::write(numbers, &mut kept).unwrap();
            let ones = read::<Vec<One>>(&body, &Tables { values, memories: Vec::new() }, &kept);
            ones.map(|ones| ones.iter().map(|one| *one.0).sum::<u64>())
        };
        assert_eq!(sum(&[5, 6], &[0, 1, 0]), Ok(16));
        assert!(sum(&[5, 6], &[1, 0]).is_err());
        assert!(sum(&[5, 6], &[0]).is_err());
        assert!(sum(&[5], &[0, 1]).is_err());
    }

    #[test]
    fn a_shared_value_cannot_be_encoded_alone() {
        assert!(postcard::to_stdvec(&Sharer(Arc::default(), Arc::default())).is_err());
        assert!(postcard::from_bytes::<Sharer>(&[0, 0]).is_err());
    }
}
