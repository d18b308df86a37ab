//! Values that many parts of a state share stand in its encoding once: modules, what belongs to them, pages, page-tree nodes.
//!
//! Serde hands no context down to a field, so while a state is encoded or decoded the tables of such values lie beside it in this
//! thread, and a field holds a number. Numbers follow the order in which values are first met, so equal states have
//! equal bytes; decoding puts one value in all places with its number. Use it with `#[serde(with = "crate::shared")]`.

use crate::memory::encoding::{PagesReader, PagesTable, PagesWriter};
use mains_types::Digest32;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::Error as _,
};
use serde_bytes::ByteBuf;
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

/// What stands before the state.
#[derive(Default, Serialize, Deserialize)]
struct Tables<Pages> {
    values: Vec<ByteBuf>,
    pages: Pages,
}

#[derive(Default)]
struct Writer {
    values: Vec<ByteBuf>,
    numbers: BTreeMap<Digest32, u64>,
    /// Numbers by address: what is encoded stays where it is meanwhile.
    by_address: BTreeMap<usize, u64>,
    pages: PagesWriter,
}

struct Reader {
    values: Vec<ByteBuf>,
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

/// The encoding of `value` with its tables.
///
/// # Errors
/// What postcard says.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
    let _scope = Scope;
    WRITER.with_borrow_mut(|writer| *writer = Some(Writer::default()));
    let body = postcard::to_stdvec(value)?;
    let Writer { values, pages, .. } = WRITER.with_borrow_mut(Option::take).unwrap_or_default();
    let mut bytes = postcard::to_stdvec(&Tables { values, pages: pages.table() })?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// What [`encode`] has encoded, and the bytes that follow it.
///
/// # Errors
/// What postcard says, or a table is not in order.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), String> {
    let _scope = Scope;
    let (tables, body) =
        postcard::take_from_bytes::<Tables<PagesTable<'_>>>(bytes).map_err(|error| error.to_string())?;
    let pages = PagesReader::new(&tables.pages)?;
    let reader = Reader { values: tables.values, made: BTreeMap::new(), met: 0, pages };
    READER.with_borrow_mut(|place| *place = Some(reader));
    let (value, rest) = postcard::take_from_bytes::<T>(body).map_err(|error| error.to_string())?;
    let all_met = READER.with_borrow(|reader| {
        reader.as_ref().is_some_and(|reader| reader.met == reader.values.len() as u64 && reader.pages.all_met())
    });
    if all_met { Ok((value, rest)) } else { Err("a table holds what nothing refers to".into()) }
}

/// Gives the writer under way to `work`, or fails outside of [`encode`].
pub(crate) fn with_pages_writer<T, E: serde::ser::Error>(work: impl FnOnce(&mut PagesWriter) -> T) -> Result<T, E> {
    WRITER
        .with_borrow_mut(|writer| writer.as_mut().map(|writer| work(&mut writer.pages)))
        .ok_or_else(|| E::custom(OUTSIDE))
}

/// Gives the reader under way to `work`, or fails outside of [`decode`].
pub(crate) fn with_pages_reader<T, E: serde::de::Error>(work: impl FnOnce(&mut PagesReader) -> T) -> Result<T, E> {
    READER
        .with_borrow_mut(|reader| reader.as_mut().map(|reader| work(&mut reader.pages)))
        .ok_or_else(|| E::custom(OUTSIDE))
}

/// Encodes a shared value as its number.
pub(crate) fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    let address = Arc::as_ptr(value) as usize;
    let known = WRITER.with_borrow(|writer| writer.as_ref().map(|writer| writer.by_address.get(&address).copied()));
    let number = match known.ok_or_else(|| S::Error::custom(OUTSIDE))? {
        Some(number) => number,
        None => {
            let bytes = postcard::to_stdvec(&**value).map_err(S::Error::custom)?;
            WRITER
                .with_borrow_mut(|writer| writer.as_mut().map(|writer| writer.add(address, bytes)))
                .unwrap_or_default()
        }
    };
    number.serialize(serializer)
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
    fn add(&mut self, address: usize, bytes: Vec<u8>) -> u64 {
        let next = self.values.len() as u64;
        let number = *self.numbers.entry(*blake3::hash(&bytes).as_bytes()).or_insert(next);
        if number == next {
            self.values.push(bytes.into());
        }
        self.by_address.insert(address, number);
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

    #[derive(Serialize, Deserialize)]
    struct Sharer(#[serde(with = "crate::shared")] Arc<String>, #[serde(with = "crate::shared")] Arc<Vec<u8>>);

    #[test]
    fn equal_values_stand_in_an_encoding_once_and_are_one_value_after_decoding() {
        let long = "x".repeat(5_000);
        let sharers: Vec<_> = (0..10).map(|_| Sharer(Arc::new(long.clone()), Arc::new(vec![7; 3]))).collect();
        let bytes = encode(&sharers).unwrap();
        assert!(bytes.len() < 5_100);
        let (again, rest) = decode::<Vec<Sharer>>(&bytes).unwrap();
        assert!(rest.is_empty());
        assert!(again.iter().all(|sharer| Arc::ptr_eq(&sharer.0, &again[0].0) && Arc::ptr_eq(&sharer.1, &again[0].1)));
        assert_eq!((&*again[9].0, &*again[9].1), (&long, &vec![7; 3]));
        assert_eq!(encode(&again).unwrap(), bytes, "whether values were shared before does not show");
    }

    #[test]
    fn tables_out_of_order_and_values_without_use_are_refused() {
        let bytes = |values: Vec<Vec<u8>>, numbers: &[u64]| {
            let tables =
                Tables { values: values.into_iter().map(ByteBuf::from).collect(), pages: PagesTable::default() };
            [postcard::to_stdvec(&tables).unwrap(), postcard::to_stdvec(numbers).unwrap()].concat()
        };
        #[derive(Deserialize)]
        struct One(#[serde(with = "crate::shared")] Arc<u64>);
        let sum = |bytes: &[u8]| decode::<Vec<One>>(bytes).map(|(ones, _)| ones.iter().map(|one| *one.0).sum::<u64>());
        assert_eq!(sum(&bytes(vec![vec![5], vec![6]], &[0, 1, 0])), Ok(16));
        assert!(sum(&bytes(vec![vec![5], vec![6]], &[1, 0])).is_err());
        assert!(sum(&bytes(vec![vec![5], vec![6]], &[0])).is_err());
        assert!(sum(&bytes(vec![vec![5]], &[0, 1])).is_err());
    }

    #[test]
    fn a_shared_value_cannot_be_encoded_alone() {
        assert!(postcard::to_stdvec(&Sharer(Arc::default(), Arc::default())).is_err());
        assert!(postcard::from_bytes::<Sharer>(&[0, 0]).is_err());
    }
}
