//! The codes of what can be wrong in a rule file, each with its explanation: `rules/codes/CODE.md`.

/// Makes the enum and its tables; a code without an explanation does not compile.
macro_rules! codes {
    ($($name:ident = $code:literal,)*) => {
        /// What is wrong in a rule file, or doubtful: `E` stands for an error, `W` for a warning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(
                #[doc = include_str!(concat!("../codes/", $code, ".md"))]
                $name,
            )*
        }

        impl Code {
            /// All codes, in their order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code, such as `E201`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// What it means, with a wrong and a right example: Markdown.
            pub const fn markdown(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../codes/", $code, ".md")),)*
                }
            }
        }
    };
}

codes! {
    // The file itself.
    FileTooBig = "E101",
    NotUtf8 = "E102",
    NotYaml = "E103",
    ControlCharacter = "E104",
    EmptyFile = "E105",
    SecondDocument = "E106",
    AnchorOrTag = "E107",
    TooDeep = "E108",
    KeyTwice = "E109",
    KeyNotWord = "E110",
    SigmaRule = "E111",
    PrometheusRules = "E112",
    NewerFormat = "E113",
    // Keys and values.
    UnknownKey = "E201",
    MissingKey = "E202",
    WrongKind = "E203",
    UnknownWord = "E204",
    OutOfRange = "E205",
    BadText = "E206",
    TooMany = "E207",
    BadName = "E208",
    SaidTwice = "E209",
    NotInThisVersion = "E210",
    NotADuration = "E211",
    NotANumber = "E212",
    NotAPercentage = "E213",
    // Signals and `where`.
    UnknownSignal = "E301",
    UnknownField = "E302",
    ImpossibleValue = "E303",
    NotAHash = "E304",
    WrongTest = "E305",
    EmptyTest = "E306",
    TestsApart = "E307",
    EmptyRange = "E308",
    NeverHolds = "E309",
    // Conditions.
    TwoConditions = "E401",
    NoCondition = "E402",
    KeyDoesNotFit = "E403",
    BadPanes = "E404",
    NotCountable = "E405",
    PartIsWhole = "E406",
    StrangersExpected = "E411",
    NeverForgotten = "E412",
    NotWorse = "E421",
    // Messages.
    UnknownPlaceholder = "E501",
    LoneBrace = "E502",
    AbsenceCountsNothing = "E503",
    NoWindow = "E504",
    // Sets.
    SameName = "E601",
    TwoSilences = "E602",
    TwiceInSet = "E603",
    SetTooBig = "E604",
    TooCostly = "E605",
    LimitsContradict = "E606",
    // Tests.
    SignOfLife = "E701",
    // Metrics.
    BadBuckets = "E801",
    NotALabel = "E802",
    ReservedValue = "E803",
    RangesOverlap = "E804",
    TooManySeries = "E805",
    // Doubtful values.
    Pattern = "W101",
    EncodedPath = "W102",
    LikelyTypo = "W103",
    NumberAsText = "W104",
    AbsoluteTime = "W105",
    // Doubtful conditions.
    AlwaysHolds = "W202",
    NeverFires = "W203",
    HardlyFires = "W204",
    OnlyDelays = "W205",
    SameAsAnother = "W206",
    OneGroup = "W207",
    GroupOfTheMissing = "W208",
    AbsenceOfTheBad = "W209",
    AbsenceByStranger = "W210",
    WaitsForEver = "W211",
    NotEachIsTold = "W212",
    // Doubtful for people, and in tests.
    CountWithinWindow = "W301",
    NoEvidence = "W302",
    NoSeverity = "W303",
    TestLacksFields = "W304",
}

impl Code {
    /// The code with this name, in either case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether it is a warning: the rules can be used all the same.
    pub fn is_warning(self) -> bool {
        self.as_str().starts_with('W')
    }

    /// What it says in a few words.
    pub fn title(self) -> &'static str {
        let head = self.markdown().lines().next().unwrap_or_default();
        head.split_once(": ").map_or(head, |(_, title)| title)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
