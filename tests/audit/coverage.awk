# Sums up the lines of an lcov file by who runs them. Tests, and what comes behind `#[cfg(test)]` in a file, are nobody's.

function group(file) {
    if (file ~ /tests\.rs$/) return ""
    if (file ~ /^src\/bin\/qmail-remote-check\//) return "qmail-remote-check"
    if (file ~ /^sandbox\/src\//) return "both: sandbox"
    if (file ~ /^src\/network\//) return "network child"
    if (file ~ /^src\/(monitor\/|args|report|startup|sealed|lib|main)/) return "monitor"
    if (file ~ /^src\//) return "both: vocabulary"
    return ""
}

$1 == "SF" {
    file = $2
    whose = ""
    if (index(file, here) != 1) next
    file = substr(file, length(here) + 1)
    whose = group(file)
    number = 0
    end = 1000000
    while ((getline text < file) > 0) {
        number++
        if (text ~ /^#\[cfg\(test\)\]/) { end = number; break }
    }
    close(file)
}

$1 == "DA" && whose != "" && $2 < end {
    all[whose]++
    if ($3 > 0) ran[whose]++
    else print file ":" $2 > missed
}

END {
    for (whose in all) {
        printf "%-20s %6d of %6d lines  %5.1f %%\n", whose, ran[whose], all[whose], 100 * ran[whose] / all[whose] | "sort"
    }
}
