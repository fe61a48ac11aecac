# text_between(TO FILE FROM UNTIL): of a file beside the one that calls, from the line FROM up to the line UNTIL. Pages share
# their style, plots and functions so. The file has to be in CMAKE_CONFIGURE_DEPENDS once.
function(text_between to file from until)
  file(READ ${file} text)
  string(FIND "${text}" "${from}" begin)
  string(FIND "${text}" "${until}" end)
  if(begin LESS 0 OR end LESS begin)
    message(FATAL_ERROR "${file} has no part from '${from}' to '${until}'")
  endif()
  math(EXPR length "${end} - ${begin}")
  string(SUBSTRING "${text}" ${begin} ${length} part)
  set(${to} "${part}" PARENT_SCOPE)
endfunction()
