//! One load-time constant of a program.

use aya::EbpfLoader;

/// One constant: its name in C and its bytes.
pub(crate) struct Constant {
    pub(crate) name: &'static str,
    pub(crate) value: Vec<u8>,
    /// Whether every object that is given the constant must have it.
    pub(crate) required: bool,
}

impl Constant {
    /// A constant that every object has.
    pub(crate) fn required<T: bytemuck::NoUninit>(name: &'static str, value: T) -> Self {
        Self {
            name,
            value: bytemuck::bytes_of(&value).to_vec(),
            required: true,
        }
    }

    /// A constant that only some objects have.
    pub(crate) fn optional<T: bytemuck::NoUninit>(name: &'static str, value: T) -> Self {
        Self {
            required: false,
            ..Self::required(name, value)
        }
    }

    /// Sets the constant in the object that a loader loads.
    pub(crate) fn set<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        loader.override_global(self.name, &self.value[..], self.required);
    }
}
