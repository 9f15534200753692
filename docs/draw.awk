# Draws a text like docs/processes.txt as SVG: awk -f docs/draw.awk docs/processes.txt >docs/processes.svg
function plain(text) {
    gsub(/^ +| +$/, "", text); gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text)
    return text
}
function words(x, y, text, style) {
    if (text != "") printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\"%s>%s</text>\n", x, y, style, text
}
BEGIN { FS = "|" }
{ split($1, at, " ") }
at[1] == "size" {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\"", at[2], at[3], at[2], at[3]
    print " font-family=\"sans-serif\" font-size=\"13\">"
    print "<defs><marker id=\"tip\" markerWidth=\"9\" markerHeight=\"8\" refX=\"8\" refY=\"4\" orient=\"auto\">" \
        "<path d=\"M0,0 L9,4 L0,8 z\"/></marker></defs>"
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
}
at[1] == "box" {
    printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"%s\" stroke=\"#555555\"/>\n", at[2], at[3], at[4], at[5], at[6]
    middle = at[2] + at[4] / 2
    # The first of them is bold; all together stand in the middle of the box.
    first = at[3] + (at[5] - 20 * (NF - 2)) / 2 + 4
    for (i = 2; i <= NF; i++) words(middle, first + 20 * (i - 2), plain($i), i == 2 ? " font-weight=\"bold\"" : "")
}
at[1] == "arrow" {
    printf "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"black\" stroke-width=\"1.5\" marker-end=\"url(#tip)\"/>\n", at[2], at[3], at[4], at[5]
    words((at[2] + at[4]) / 2, (at[3] + at[5]) / 2 - 7, plain($2), "")
}
END { print "</svg>" }
