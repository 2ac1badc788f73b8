# Makes the table of test cases for tests/unit/main.c: `void test_SUBJECT__case(void **state)` is a case of group SUBJECT;
# `int setup_SUBJECT(void **)` and `int teardown_SUBJECT(void **)` are that group's fixtures when they exist.
# A declaration is recognised at the start of a line only.
match($0, /^void test_[A-Za-z0-9_]+\((void \*\*|$)/) {
    name = substr($0, 6); sub(/\(.*/, "", name)
    at = index(name, "__")
    if (at == 0) { print FILENAME ":" FNR ": " name " has no __case part" >"/dev/stderr"; bad = 1; exit 1 }
    subject = substr(name, 6, at - 6)
    if (!(subject in cases)) subjects[++count] = subject
    cases[subject] = cases[subject] "    cmocka_unit_test(" name "),\n"
    declared = declared "void " name "(void **state);\n"
}
match($0, /^int (setup|teardown)_[A-Za-z0-9_]+\((void \*\*|$)/) {
    name = substr($0, 5); sub(/\(.*/, "", name)
    declared = declared "int " name "(void **state);\n"
    fixture[name] = 1
}
END {
    if (bad) exit 1
    print "/* Made by tests/unit/table.awk. */"
    print "#include <setjmp.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <cmocka.h>"
    print "#include \"unit/main.h\"\n"
    printf "%s", declared
    for (i = 1; i <= count; i++)
        printf "\nstatic struct CMUnitTest cases_%s[] = {\n%s};\n", subjects[i], cases[subjects[i]]
    print "\nstruct unit_group unit_groups[] = {"
    for (i = 1; i <= count; i++) {
        s = subjects[i]
        printf "    {\"%s\", cases_%s, sizeof(cases_%s) / sizeof(cases_%s[0]), %s, %s},\n", s, s, s, s, \
            (("setup_" s) in fixture) ? "setup_" s : "NULL", (("teardown_" s) in fixture) ? "teardown_" s : "NULL"
    }
    print "    {NULL, NULL, 0, NULL, NULL},\n};"
}
