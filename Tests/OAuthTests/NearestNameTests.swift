import OAuth
import Testing

@Suite("The name that was probably meant")
struct NearestNameTests {
    @Test(
        "a slip of the keyboard finds its name, and a different word finds none",
        arguments: [
            ("read:tsks", "read:tasks"), ("raed:tasks", "read:tasks"), ("READ:TASKS", "read:tasks"), ("delete", nil), ("", nil),
            ("write:task", "write:tasks"),
            ("clinets", nil),
        ] as [(String, String?)])
    func names(_ name: String, _ expected: String?) {
        #expect(NearestName.of(name, among: ["read:tasks", "write:tasks"]) == expected)
    }

    @Test("swapped neighbours count as one slip, and no candidates give no hint")
    func edges() {
        #expect(NearestName.of("clinets", among: ["clients", "grants"]) == "clients")
        #expect(NearestName.hint("x", among: []) == "")
        #expect(NearestName.hint("user", among: ["users"]) == " (did you mean users?)")
    }
}
