# Writes the table with R's own functions; table.csv has every text quoted and NULL as \N.
types <- c(id = "integer", customer = "character", remark = "character", price = "numeric", quantity = "integer",
           account = "numeric", paid = "logical", weight = "numeric", ordered = "Date", placed = "character", packed = "character")
orders <- read.csv("table-null.csv", na.strings = "\\N", colClasses = types, encoding = "UTF-8")
orders$placed <- as.POSIXct(sub("\\+00:00$", "", orders$placed), tz = "UTC", format = "%Y-%m-%d %H:%M:%OS")
orders$packed <- as.POSIXct(orders$packed, tz = "UTC", format = "%Y-%m-%d %H:%M:%OS")
write.csv(orders, "default.csv")
write.csv(orders, "no-row-names.csv", row.names = FALSE)
write.csv2(orders, "csv2.csv", row.names = FALSE)
write.table(orders, "table.tsv", sep = "\t", row.names = FALSE, qmethod = "double")
# The packages of Debian (r-cran-readr, r-cran-data.table), where they are there.
if (requireNamespace("readr", quietly = TRUE)) {
  readr::write_csv(orders, "readr.csv")
  readr::write_csv2(orders, "readr2.csv")
  readr::write_excel_csv(orders, "readr-excel.csv")
}
if (requireNamespace("data.table", quietly = TRUE)) {
  data.table::fwrite(orders, "fwrite.csv")
  data.table::fwrite(orders, "fwrite-escape.csv", qmethod = "escape", na = "NA")
  data.table::fwrite(orders, "fwrite2.csv", sep = ";", dec = ",")
}
