//! The codes of the compiler's diagnostics. Each has an entry in
//! `docs/reference/errors-compiler.md`; a test checks that.

/// A stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: Code = Code($code);)*

        /// All codes, ascending.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// Something other than ARG before the first FROM.
    BEFORE_FROM = "E1003";
    /// A flag that the instruction does not have.
    UNKNOWN_FLAG = "E1004";
    /// A flag given twice.
    REPEATED_FLAG = "E1005";
    /// A flag with a wrong value, or without the value that it needs.
    FLAG_VALUE = "E1006";
    /// No FROM at all.
    NO_STAGE = "E1007";
    /// A variable that cannot be expanded.
    EXPANSION = "E1010";
    /// FROM with an empty name.
    EMPTY_BASE = "E1020";
    /// A name that is no image reference.
    IMAGE_NAME = "E1021";
    /// A name that no stage can have.
    STAGE_NAME = "E1022";
    /// `--target` names no stage.
    UNKNOWN_TARGET = "E1023";
    /// A stage number that does not exist.
    STAGE_INDEX = "E1024";
    /// A stage used before it is defined.
    LATER_STAGE = "E1025";
    /// A platform that is none.
    PLATFORM = "E1026";
    /// A variable where none can be.
    NO_VARIABLE_HERE = "E1027";
    /// An image that cannot be had.
    IMAGE = "E1030";
    /// An image without the platform asked for.
    IMAGE_PLATFORM = "E1031";
    /// A named context that makes no sense.
    CONTEXT = "E1032";
    /// An ignore file that cannot be used.
    IGNORE_FILE = "E1033";
    /// A mistake in a `--mount`.
    MOUNT = "E1040";
    /// A mistake in the arguments of COPY or ADD.
    COPY = "E1042";
    /// A mode that is none.
    MODE = "E1043";
    /// A URL or git reference that makes no sense.
    REMOTE = "E1044";
    /// A port that is none.
    PORT = "E1050";
    /// A signal that does not exist.
    SIGNAL = "E1051";
    /// A mistake in HEALTHCHECK.
    HEALTHCHECK = "E1052";
    /// An argument that is empty once it is expanded.
    EMPTY_ARGUMENT = "E1053";
    /// A base image's trigger that cannot be parsed.
    TRIGGER_SYNTAX = "E1061";
    /// `SOURCE_DATE_EPOCH` is no number.
    EPOCH = "E1070";
}
